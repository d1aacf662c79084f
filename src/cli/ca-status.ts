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
import { type EnforcementPoint, fetchAll } from './api-types.ts';

/** What expires, when, and the command that keeps it from doing so. */
export type Expiry = {
  readonly what: string;
  readonly expiresAt: string;
  /** `ok`, `soon` (less than a tenth of its life, or a week) or `expired`. */
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
};

type MeshInfo = { readonly identity: { readonly expiresAt: string | null } };
type SetSummary = { readonly namespace: string; readonly expires?: string };

const DAY_MS = 86_400_000;

/** Asks the control plane; the trust root is the verified one of the session. Rejects with `ApiError`. */
export async function caStatus(session: Session, nowMs: number): Promise<CaStatus> {
  const { api, trustRoot } = session;
  const points = await fetchAll<EnforcementPoint>(api, '/enforcement-points');
  const sets = await fetchAll<SetSummary>(api, '/policy-sets');
  const mesh = await api.call<MeshInfo>('GET', '/mesh');
  const roots = rootsOf(trustRoot).map((root, index) => ({
    sha256: rootDigest(root),
    role: index === 0 ? ('issuing' as const) : ('trusted' as const),
    expiresAt: certificateOf(root).validToDate.toISOString(),
    points: points.filter((point) => point.certificateRoot === rootDigest(root)).length,
  }));
  const horizon = [
    ...roots.map(({ sha256, expiresAt }) =>
      expiry(`root ${sha256.slice(0, 12)}`, expiresAt, {
        warnMs: 365 * DAY_MS,
        fix: 'palisade ca rotate',
        nowMs,
      }),
    ),
    ...certificatesOf(points, nowMs),
    ...optional('certificate of the control plane', mesh.identity.expiresAt, {
      warnMs: DAY_MS / 4,
      fix: 'renews itself at the CA: see its log',
      nowMs,
    }),
    ...sets.flatMap(({ namespace, expires }) =>
      optional(`policy of ${namespace}`, expires ?? null, {
        warnMs: 14 * DAY_MS,
        fix: `palisade apply -n ${namespace} (signs it anew)`,
        nowMs,
      }),
    ),
    ...adminCertificate(session, nowMs),
  ].toSorted((a, b) => (a.expiresAt < b.expiresAt ? -1 : 1));
  return { trustRootVersion: trustRoot.version, phase: phaseOf(trustRoot), roots, horizon };
}

function certificatesOf(points: readonly EnforcementPoint[], nowMs: number): readonly Expiry[] {
  return points.flatMap(({ node, certificateExpiresAt }) =>
    optional(`certificate of ${node}`, certificateExpiresAt, {
      warnMs: 5 * 60_000,
      fix: 'renews itself through its agent: see `palisade status`',
      nowMs,
    }),
  );
}

function adminCertificate({ folder }: Session, nowMs: number): readonly Expiry[] {
  try {
    const { validToDate } = new X509Certificate(readFileSync(folder.admin.certificate));
    const fix = 'make another and put its fingerprint into control/admins.json';
    const when = { warnMs: 30 * DAY_MS, fix, nowMs };
    return [expiry('client certificate of this CLI', validToDate.toISOString(), when)];
  } catch {
    // Somebody else's machine: there is another way in.
    return [];
  }
}

type When = { readonly warnMs: number; readonly fix: string; readonly nowMs: number };

function optional(what: string, expiresAt: string | null, when: When): readonly Expiry[] {
  return expiresAt === null ? [] : [expiry(what, expiresAt, when)];
}

function expiry(what: string, expiresAt: string, { warnMs, fix, nowMs }: When): Expiry {
  const left = Date.parse(expiresAt) - nowMs;
  const state = left <= 0 ? 'expired' : left < warnMs ? 'soon' : 'ok';
  return { what, expiresAt, state, fix };
}
