import { METRIC, type MetricFamily } from '#telemetry';
import type { Expiring } from './expiries.ts';

/** What became of a request to the authority. */
export type RequestOutcome = 'ok' | 'refused' | 'failed';

/** Counts what was asked of the authority. */
export type CaMetrics = {
  /** `method` is one of our own RPCs, so there are few. */
  readonly answered: (method: string, outcome: RequestOutcome) => void;
  readonly families: (now: CaNumbers) => readonly MetricFamily[];
};

/** What is read only when somebody scrapes; times in ms since 1970. */
export type CaNumbers = {
  readonly nowMs: number;
  readonly ready: boolean;
  readonly connected: boolean;
  readonly policySets: number;
  /** Entries of the issuance log. */
  readonly issued: number;
  readonly certificateExpiresAt: number;
  readonly expiries: readonly Expiring[];
};

/** Creates counters at zero. */
export function createCaMetrics(): CaMetrics {
  const requests = new Map<string, { labels: Record<string, string>; value: number }>();
  return {
    answered(method, outcome) {
      const key = `${method} ${outcome}`;
      const sample = requests.get(key) ?? { labels: { method, outcome }, value: 0 };
      sample.value++;
      requests.set(key, sample);
    },
    families: ({ nowMs, ready, connected, policySets, issued, certificateExpiresAt, expiries }) => [
      {
        name: METRIC.caExpiry,
        help: 'Seconds until the first of its kind expires that nothing follows yet.',
        kind: 'gauge',
        samples: soonest(expiries).map(([kind, expiresAt]) => ({
          labels: { kind },
          value: (expiresAt - nowMs) / 1_000,
        })),
      },
      {
        name: METRIC.caRequests,
        help: 'Requests to the authority by what became of them.',
        kind: 'counter',
        samples: [...requests.values()],
      },
      gauge(METRIC.caLogEntries, 'Certificates and tokens in the issuance log.', issued),
      gauge(METRIC.caReady, 'Whether it can issue.', Number(ready)),
      gauge(METRIC.caConnected, 'Whether it hears of new policy.', Number(connected)),
      gauge(METRIC.caPolicySets, 'Policy sets that it decides by.', policySets),
      gauge(
        METRIC.caCertificateExpiry,
        "Seconds until the authority's own certificate expires.",
        (certificateExpiresAt - nowMs) / 1_000,
      ),
    ],
  };
}

function soonest(expiries: readonly Expiring[]): readonly [string, number][] {
  const first = new Map<string, number>();
  for (const { kind, actAt, expiresAt } of expiries) {
    if (actAt === undefined) continue;
    first.set(kind, Math.min(first.get(kind) ?? Number.POSITIVE_INFINITY, expiresAt));
  }
  return [...first];
}

function gauge(name: string, help: string, value: number): MetricFamily {
  return { name, help, kind: 'gauge', samples: [{ labels: {}, value }] };
}
