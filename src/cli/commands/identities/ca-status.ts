import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  certificateOf,
  phaseOf,
  type RotationPhase,
  rootDigest,
  rootsOf,
  type Session,
} from '#client';
import { type EnforcementPoint, fetchAll } from '../../api-types.ts';
import { tellUntold } from './untold-tokens.ts';

/** What expires, when, and the command that keeps it from doing so. */
export type Expiry = {
  readonly what: string;
  readonly expiresAt: string;
  /** `ok`, `soon` (it needs somebody) or `expired`. */
  readonly state: 'ok' | 'soon' | 'expired';
  readonly fix: string;
};

/** How the authority stands. */
export type CaStatus = {
  readonly trustRootVersion: number;
  readonly phase: RotationPhase;
  readonly roots: readonly {
    readonly sha256: string;
    readonly role: 'issuing' | 'trusted';
    readonly expiresAt: string;
    /** Enforcement points whose certificate is of this root. */
    readonly points: number;
  }[];
  /** Soonest first. */
  readonly horizon: readonly Expiry[];
  /** Why what the authority lists is not of now; empty while it is. */
  readonly problem: string;
};

type Horizon = {
  readonly items: readonly {
    readonly kind: string;
    readonly name: string;
    readonly expiresAt: string;
    readonly state: Expiry['state'];
    readonly fix: string;
  }[];
  /** Why the authority's part is not of now. */
  readonly problem: string;
};

const DAY_MS = 86_400_000;

const WORDS: Readonly<Record<string, string>> = {
  root: 'root',
  issuer: 'issuer',
  authority: 'certificate of',
  control: 'certificate of',
  point: 'certificate of',
  policy: 'policy of',
  jwt_key: 'key for tokens',
  join_token: 'join token for',
  foreign_bundle: 'bundle of',
};

/** Asks the control plane; the trust root is the verified one of the session. Rejects with `ApiError`. */
export async function caStatus(session: Session, nowMs: number): Promise<CaStatus> {
  const { api, trustRoot } = session;
  const points = await fetchAll<EnforcementPoint>(api, '/enforcement-points');
  // Before the list is asked for, so that they are in it.
  const untold = await tellUntold(session, nowMs);
  const { items, problem } = await api.call<Horizon>('GET', '/horizon');
  const roots = rootsOf(trustRoot).map((root, index) => ({
    sha256: rootDigest(root),
    role: index === 0 ? ('issuing' as const) : ('trusted' as const),
    expiresAt: certificateOf(root).validToDate.toISOString(),
    points: points.filter((point) => point.certificateRoot === rootDigest(root)).length,
  }));
  const horizon = [
    ...items.map(({ kind, name, ...rest }) => ({
      what: `${WORDS[kind] ?? kind} ${name}`,
      ...rest,
    })),
    ...untold.map(({ id, host, expiresAt }) => ({
      what: `join token for ${host} (${id.slice(0, 8)})`,
      expiresAt,
      state: 'ok' as const,
      fix: `palisade token create --host ${host}`,
    })),
    ...adminCertificate(session, nowMs),
  ].map(({ what, expiresAt, state, fix }) => ({ what, expiresAt, state, fix }));
  horizon.sort((a, b) => (a.expiresAt < b.expiresAt ? -1 : 1));
  const { version } = trustRoot;
  return { trustRootVersion: version, phase: phaseOf(trustRoot), roots, horizon, problem };
}

function adminCertificate({ folder }: Session, nowMs: number): readonly Expiry[] {
  try {
    const { validToDate } = new X509Certificate(readFileSync(folder.admin.certificate));
    const fix = 'make another and put its fingerprint into control/admins.json';
    const leftMs = validToDate.getTime() - nowMs;
    const state = leftMs <= 0 ? 'expired' : leftMs < 30 * DAY_MS ? 'soon' : 'ok';
    const what = 'client certificate of this CLI';
    return [{ what, expiresAt: validToDate.toISOString(), state, fix }];
  } catch {
    // Somebody else's machine: there is another way in.
    return [];
  }
}
