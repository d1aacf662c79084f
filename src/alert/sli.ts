/** What is measured: each is the share of good ones among all, so that one arithmetic serves every objective. */
export type SliName = keyof typeof SLIS;

/** How one service level indicator is counted, and what it says. */
export type Sli = {
  /** What a good one is, in words. */
  readonly good: string;
  /** What is told of those that were not, after their number: `3 of 90 …`. */
  readonly bad: string;
  /** `count`: whoever observes says what was good; `atMost` and `atLeast`: a duration, judged by the SLO's threshold. */
  readonly judge: 'count' | 'atMost' | 'atLeast';
  /** Milliseconds where an SLO names none; undefined for those that are counted. */
  readonly thresholdMs: number | undefined;
};

const MINUTE_MS = 60_000;

/** The indicators there are, from the security field outwards. */
export const SLIS = {
  authentication_success: {
    good: 'a finished handshake whose peer proved an identity',
    bad: 'handshakes ended without a proven identity',
    judge: 'count',
    thresholdMs: undefined,
  },
  handshake_success: {
    good: 'a TLS handshake that came to its end',
    bad: 'TLS handshakes did not come to their end',
    judge: 'count',
    thresholdMs: undefined,
  },
  decision_latency: {
    good: 'a decision within 1 ms',
    bad: 'decisions took longer than 1 ms',
    judge: 'count',
    thresholdMs: undefined,
  },
  policy_propagation: {
    good: 'an enforcement point that enforces a new version within the threshold',
    bad: 'enforcement points were late to enforce a new version',
    judge: 'atMost',
    thresholdMs: 5_000,
  },
  telemetry_completeness: {
    good: 'a record that arrived, or that sampling left out',
    bad: 'records neither arrived nor were left out by sampling',
    judge: 'count',
    thresholdMs: undefined,
  },
  certificate_horizon: {
    good: 'a look at a connected workload whose certificate lasts longer than the threshold, or than a quarter of its life',
    bad: 'looks at a workload found a certificate too near its end',
    judge: 'atLeast',
    thresholdMs: 10 * MINUTE_MS,
  },
  denial_rate: {
    good: 'a call that policy did not deny',
    bad: 'calls were denied by policy',
    judge: 'count',
    thresholdMs: undefined,
  },
  control_availability: {
    good: 'a request to the control plane that did not end in its own failure, and a second in which it ran',
    bad: 'requests to the control plane or seconds of its life failed',
    judge: 'count',
    thresholdMs: undefined,
  },
  control_latency: {
    good: 'a request to the API answered within the threshold',
    bad: 'requests to the API were answered too late',
    judge: 'atMost',
    thresholdMs: 50,
  },
} as const satisfies Readonly<Record<string, Sli>>;

/** Their names, in the order in which they are shown. */
export const SLI_NAMES: readonly SliName[] = Object.keys(SLIS) as SliName[];

/** A measured duration; `enoughMs` is enough whatever the threshold asks for. */
export type Measured = {
  readonly valueMs: number;
  /** How many it stands for. */
  readonly weight: number;
  readonly enoughMs?: number;
};

/** Whether a measured value is a good one. */
export function isGood(
  sli: SliName,
  { valueMs, enoughMs = Number.POSITIVE_INFINITY }: Measured,
  thresholdMs: number,
): boolean {
  if (SLIS[sli].judge === 'atLeast') return valueMs > Math.min(thresholdMs, enoughMs);
  return valueMs <= thresholdMs;
}
