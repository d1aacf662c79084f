import { hash } from 'node:crypto';
import type { Bundle } from '#identity';
import { EVENT, type Log } from '#telemetry';
import { type GrpcClient, Issuance } from '#wire';
import type { Enforcement } from './enforcement.ts';
import { foreignItems } from './foreign-bundles.ts';
import type { PolicySets } from './policy-sets.ts';

/** One thing that expires; times in ms since 1970. */
export type HorizonItem = {
  /** `root`, `control`, `point`, `policy`, `foreign_bundle`, and what the authority lists: `issuer`, `authority`, `jwt_key`, `join_token`. */
  readonly kind: string;
  readonly name: string;
  readonly expiresAt: number;
  /** From when on it needs somebody; null where what follows it is there already. */
  readonly actAt: number | null;
  /** The command that helps, or what to look at. */
  readonly fix: string;
  /** Of a foreign bundle: the agents whose copy it is that ends first, or that could not refresh theirs. */
  readonly agents?: readonly string[];
  /** Of a foreign bundle: when the agent that is furthest behind last had it from its endpoint. */
  readonly refreshedAt?: number | null;
};

/** Everything that expires: what this control plane sees, and what the authority lists. */
export type Horizon = {
  /** Soonest first. */
  readonly items: () => readonly HorizonItem[];
  /** Why the authority's part is not of now; empty while it is. */
  readonly problem: () => string;
  /** Asks the authority. Never rejects. */
  readonly refresh: () => Promise<void>;
  readonly close: () => void;
};

/** What the horizon is made of. */
export type HorizonOptions = {
  /** A client under the present certificate, which is closed after use. */
  readonly client: () => GrpcClient;
  readonly bundle: () => Bundle;
  readonly controlExpiresAt: () => number;
  readonly enforcement: Pick<Enforcement, 'status' | 'foreignBundles'>;
  readonly sets: Pick<PolicySets, 'all'>;
  readonly clock: () => number;
  readonly log: Log;
};

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const EVERY_MS = 30_000;
const ROOT_NOTICE_MS = 365 * DAY_MS;
const CONTROL_NOTICE_MS = DAY_MS / 4;
const POINT_NOTICE_MS = 5 * MINUTE_MS;
const POLICY_NOTICE_MS = 14 * DAY_MS;

/** Creates the horizon; the authority is asked now, and every half minute. */
export function createHorizon(options: HorizonOptions): Horizon {
  const { client, clock, log } = options;
  let listed: readonly HorizonItem[] = [];
  let problem = 'the authority was not asked yet';

  let asking: Promise<void> | undefined;

  function refresh(): Promise<void> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  async function ask(): Promise<void> {
    let channel: GrpcClient | undefined;
    try {
      channel = client();
      const { expiries } = await channel.unary(Issuance.method.listExpiries, {});
      listed = expiries.map(({ kind, name, expiresAtMs, actAtMs, fix }) => ({
        kind,
        name,
        expiresAt: Number(expiresAtMs),
        actAt: actAtMs === 0n ? null : Number(actAtMs),
        fix,
      }));
      problem = '';
    } catch (error) {
      // What was listed last stays: it expires whether we hear of it or not.
      problem = error instanceof Error ? error.message : String(error);
      log.debug(EVENT.horizonUnread, { reason: problem });
    } finally {
      channel?.close();
    }
  }

  void refresh();
  const timer = setInterval(() => void refresh(), EVERY_MS);
  timer.unref();
  return {
    items: () =>
      [
        ...rootItems(options),
        ...ownItems(options),
        ...foreignItems(options.enforcement.foreignBundles(), clock()),
        ...listed.filter((item) => isNotOver(item, clock())),
      ].toSorted((a, b) => a.expiresAt - b.expiresAt),
    problem: () => problem,
    refresh,
    close: () => clearInterval(timer),
  };
}

/** `ok`, `soon` (it needs somebody) or `expired`. */
export function horizonState(
  { expiresAt, actAt }: HorizonItem,
  nowMs: number,
): 'ok' | 'soon' | 'expired' {
  if (expiresAt <= nowMs) return 'expired';
  return actAt !== null && actAt <= nowMs ? 'soon' : 'ok';
}

// Tokens are used and keys replaced without our hearing of it: what ended with a successor is no news.
function isNotOver({ kind, expiresAt, actAt }: HorizonItem, nowMs: number): boolean {
  return expiresAt > nowMs || (actAt !== null && kind !== 'join_token');
}

function rootItems({ bundle }: HorizonOptions): readonly HorizonItem[] {
  const roots = bundle().x509Roots;
  const last = Math.max(...roots.map(({ validToDate }) => validToDate.getTime()));
  return roots.map(({ raw, validToDate }) => {
    const expiresAt = validToDate.getTime();
    // With a successor in the trust root the old one may run out.
    const actAt = expiresAt === last ? expiresAt - ROOT_NOTICE_MS : null;
    const name = hash('sha256', raw).slice(0, 16);
    return { kind: 'root', name, expiresAt, actAt, fix: 'palisade ca rotate' };
  });
}

function ownItems(options: HorizonOptions): readonly HorizonItem[] {
  const { controlExpiresAt, enforcement, sets } = options;
  const until = (expiresAt: number, noticeMs: number) => ({
    expiresAt,
    actAt: expiresAt - noticeMs,
  });
  return [
    {
      kind: 'control',
      name: 'palisade/control',
      ...until(controlExpiresAt(), CONTROL_NOTICE_MS),
      fix: 'renews itself at the CA: see its log',
    },
    ...enforcement.status().flatMap(({ node, connected, certificateExpiresAt: at }) =>
      // Of a process that ended nobody renews the certificate, and nobody has to.
      at === null || !connected
        ? []
        : {
            kind: 'point',
            name: node,
            ...until(Date.parse(at), POINT_NOTICE_MS),
            fix: 'renews itself through its agent: see `palisade status`',
          },
    ),
    ...sets.all().map(({ namespace, head }) => ({
      kind: 'policy',
      name: namespace,
      ...until(Date.parse(head.commit.expires), POLICY_NOTICE_MS),
      fix: `palisade apply -n ${namespace} (signs it anew)`,
    })),
  ];
}
