import type { SpiffeBundle } from '#identity';
import { createMessage, type ForeignBundle, ForeignBundleSchema } from '#wire';

/** How one foreign trust domain's bundle stands at this agent; times in Unix milliseconds. */
export type BundleStanding = {
  readonly trustDomain: string;
  /** From when to when the root that lasts longest is valid; undefined where there is none. */
  readonly validity: { readonly startsAt: number; readonly expiresAt: number } | undefined;
  /** Since when one is wanted and no bundle is held at all; undefined where one is held. */
  readonly missingSince: number | undefined;
  /** When its endpoint last gave it. */
  readonly refreshedAt: number | undefined;
  /** How often its endpoint is asked; undefined where it has none. */
  readonly everyMs: number | undefined;
  /** Why it was not refreshed the last time it was asked. */
  readonly problem: string | undefined;
};

const MAX_SENT = 64;
const MAX_PROBLEM = 200;

/** Reads how a bundle stands: the root that ends last is the one that matters, since a successor stands beside it early. */
export function standingOf(of: {
  readonly trustDomain: string;
  readonly bundle: SpiffeBundle | undefined;
  readonly since: number;
  readonly refreshedAt: number | undefined;
  readonly everyMs: number | undefined;
  readonly problem: string | undefined;
}): BundleStanding {
  const { bundle, since, ...rest } = of;
  const roots = bundle?.x509?.x509Roots ?? [];
  const last = roots.toSorted((a, b) => a.validToDate.getTime() - b.validToDate.getTime()).at(-1);
  const validity = last && {
    startsAt: last.validFromDate.getTime(),
    expiresAt: last.validToDate.getTime(),
  };
  return { ...rest, validity, missingSince: bundle === undefined ? since : undefined };
}

/** As an acknowledgement tells them. */
export function sentStandings(standings: readonly BundleStanding[]): ForeignBundle[] {
  return standings.slice(0, MAX_SENT).map((standing) => {
    const { trustDomain, validity, missingSince, refreshedAt, everyMs, problem } = standing;
    return createMessage(ForeignBundleSchema, {
      trustDomain,
      startsAtMs: BigInt(Math.floor(missingSince ?? validity?.startsAt ?? 0)),
      expiresAtMs: BigInt(Math.floor(validity?.expiresAt ?? 0)),
      refreshedAtMs: BigInt(Math.floor(refreshedAt ?? 0)),
      refreshEveryMs: BigInt(Math.floor(everyMs ?? 0)),
      problem: (problem ?? '').slice(0, MAX_PROBLEM),
      missing: missingSince !== undefined,
    });
  });
}

/**
 * What whoever looks at the agent should know of them; undefined when all is well. It is no reason not to be ready: a
 * foreign operator would decide whether our own workloads are served.
 */
export function standingProblem(
  standings: readonly BundleStanding[],
  nowMs: number,
): string | undefined {
  for (const { trustDomain, validity, missingSince, problem } of standings) {
    if (missingSince !== undefined) {
      return `no bundle of \`${trustDomain}\` is known${problem === undefined ? '' : `: ${problem}`}`;
    }
    if (validity !== undefined && validity.expiresAt <= nowMs + noticeMs(validity)) {
      const verb = validity.expiresAt <= nowMs ? 'ended' : 'ends';
      const at = new Date(validity.expiresAt).toISOString();
      return `the bundle of \`${trustDomain}\` ${verb} at ${at}, and its endpoint gives no other`;
    }
  }
  return undefined;
}

function noticeMs({ startsAt, expiresAt }: NonNullable<BundleStanding['validity']>): number {
  return Math.min(3_600_000, (expiresAt - startsAt) / 20);
}
