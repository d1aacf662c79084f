import type { ForeignBundle } from '#wire';
import type { HorizonItem } from './horizon.ts';

/** What one agent says of its copy of a foreign trust domain's bundle; times in Unix milliseconds, null where there is none. */
export type AgentBundle = {
  readonly trustDomain: string;
  readonly startsAt: number | null;
  readonly expiresAt: number | null;
  readonly refreshedAt: number | null;
  readonly everyMs: number | null;
  readonly problem: string;
  /** No bundle is held at all, since `startsAt`. */
  readonly missing: boolean;
};

/** The same with the agent that says it. */
export type ReportedBundle = AgentBundle & { readonly node: string };

const DAY_MS = 24 * 3_600_000;
const NOTICE_MS = 30 * DAY_MS;
// Its keys may have been taken out meanwhile, and we would not know.
const MISSED_REFRESHES = 3;
const MAX_BUNDLES = 64;
const MAX_TEXT = 300;
const MAX_NAMED = 3;

/** Reads what an agent acknowledged. SECURITY: bounded in number and length, whatever it sends. */
export function agentBundles(sent: readonly ForeignBundle[]): readonly AgentBundle[] {
  return sent.slice(0, MAX_BUNDLES).map((bundle) => ({
    trustDomain: bundle.trustDomain.slice(0, MAX_TEXT),
    startsAt: instantOf(bundle.startsAtMs),
    expiresAt: instantOf(bundle.expiresAtMs),
    refreshedAt: instantOf(bundle.refreshedAtMs),
    everyMs: instantOf(bundle.refreshEveryMs),
    problem: bundle.problem.slice(0, MAX_TEXT),
    missing: bundle.missing,
  }));
}

/**
 * One item for each foreign trust domain: of all agents' copies the one that ends first, with the agents that hold such
 * a one. An agent that has none, or has not refreshed its own for long, needs somebody now.
 */
export function foreignItems(
  reported: readonly ReportedBundle[],
  nowMs: number,
): readonly HorizonItem[] {
  const byDomain = Map.groupBy(reported, ({ trustDomain }) => trustDomain);
  return Array.from(byDomain, ([trustDomain, copies]) => itemOf(trustDomain, copies, nowMs)).filter(
    (item) => item !== undefined,
  );
}

function itemOf(
  name: string,
  copies: readonly ReportedBundle[],
  nowMs: number,
): HorizonItem | undefined {
  const judged = copies.flatMap((copy) => {
    const expiresAt = copy.missing ? (copy.startsAt ?? nowMs) : copy.expiresAt;
    // One that only holds keys for tokens does not end.
    return expiresAt === null ? [] : { ...copy, expiresAt, actAt: actAtOf(copy, expiresAt) };
  });
  const [first] = judged.toSorted((a, b) => a.actAt - b.actAt || a.expiresAt - b.expiresAt);
  if (first === undefined) return undefined;
  const same = judged.filter(
    ({ expiresAt, actAt }) => expiresAt === first.expiresAt || actAt <= nowMs,
  );
  const times = judged.flatMap(({ refreshedAt }) => refreshedAt ?? []);
  return {
    kind: 'foreign_bundle',
    name,
    expiresAt: Math.min(...judged.map(({ expiresAt }) => expiresAt)),
    actAt: first.actAt,
    fix: `${fixOf(first)}; seen by ${namesOf(same.map(({ node }) => node))}`,
    agents: same.map(({ node }) => node),
    refreshedAt: times.length === 0 ? null : Math.min(...times),
  };
}

function actAtOf(copy: ReportedBundle, expiresAt: number): number {
  if (copy.missing) return expiresAt;
  const { startsAt, refreshedAt, everyMs } = copy;
  const lifeMs = expiresAt - (startsAt ?? expiresAt - NOTICE_MS);
  const ends = expiresAt - Math.min(NOTICE_MS, lifeMs / 3);
  if (everyMs === null || refreshedAt === null) return ends;
  return Math.min(ends, refreshedAt + MISSED_REFRESHES * everyMs);
}

function fixOf({ trustDomain, missing, problem, everyMs }: ReportedBundle): string {
  const look = `palisade get TrustDomainFederation -n palisade-system`;
  if (missing) return `no bundle was ever fetched (${problem || 'not asked yet'}): ${look}`;
  if (problem !== '') return `its endpoint gives no bundle (${problem}): ${look}`;
  if (everyMs === null)
    return `it has no endpoint: put the next bundle into its TrustDomainFederation`;
  return `the operator of ${trustDomain} has to publish its next root`;
}

function namesOf(nodes: readonly string[]): string {
  const more = nodes.length - MAX_NAMED;
  return `${nodes.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function instantOf(ms: bigint): number | null {
  return ms > 0n && ms < 8_640_000_000_000_000n ? Number(ms) : null;
}
