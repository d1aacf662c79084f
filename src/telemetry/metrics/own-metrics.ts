import { METRIC } from '../names.ts';
import type { MetricFamily, NumberSample } from './exposition.ts';
import type { ProxyGauges } from './proxy-metrics.ts';
import { recordFamilies } from './record-metrics.ts';

/** A counter's (or gauge's) value, incremented in place by whoever holds it. */
export type Counter = { value: number };

/** Palisade's own counters: ask once, keep the counter, add to its `value`. */
export type OwnMetrics = {
  readonly decision: (verdict: 'allow' | 'deny', reason: string) => Counter;
  /**
   * `outcome` is `ok` or a code of `#identity`'s `VerifyErrorCode` and its like; `group` is the one of
   * the key exchange, `none` where it did not come to one.
   */
  readonly handshake: (outcome: string, side: 'inbound' | 'outbound', group?: string) => Counter;
  /** Connections and requests refused before a decision, e.g. `bad_request`, `garbage`, `header_timeout`. */
  readonly refused: (kind: string) => Counter;
  /** Open connections now. */
  readonly connections: (side: 'inbound' | 'outbound', protocol: string) => Counter;
  /** Live connections and requests that a change no longer allows: cut at once, or let finish. */
  readonly reauthorized: (outcome: 'cut' | 'finish') => Counter;
  /** Wishes for another try of a call: `tried`, or why not. */
  readonly retry: (outcome: string) => Counter;
  /** Endpoints left alone for a while, by why. */
  readonly ejection: (reason: string) => Counter;
  /** Active checks of endpoints, by outcome. */
  readonly healthCheck: (outcome: string) => Counter;
  /** JWKS of token issuers asked for. */
  readonly jwksFetched: (outcome: 'ok' | 'failed') => Counter;
  /** Policy versions that were refused, by the trust or compile layer's code. */
  readonly policyRefused: (code: string) => Counter;
};

type OwnMetricsWithFamilies = OwnMetrics & {
  readonly handshakes: () => readonly NumberSample[];
  /** How often each metric had no sample of its own for some labels. */
  readonly overflows: () => NumberSample[];
  readonly families: (at: {
    readonly gauges: ProxyGauges;
    readonly nowMs: number;
  }) => MetricFamily[];
};

type Family = {
  readonly counter: (labels: Record<string, string>) => Counter;
  readonly family: () => MetricFamily;
  readonly samples: () => readonly NumberSample[];
  readonly overflow: () => NumberSample;
};

// Every label value here is one of our own codes; the bound guards against a mistake, not an attacker.
const MAX_SAMPLES = 200;
const OVERFLOW = 'overflow';

/** Creates the counters of one proxy. */
export function createOwnMetrics(): OwnMetricsWithFamilies {
  const decisions = createFamily(METRIC.decisions, 'Decisions by verdict and reason.', 'counter');
  const handshakes = createFamily(
    METRIC.handshakes,
    'TLS handshakes by outcome and key exchange.',
    'counter',
  );
  const refused = createFamily(METRIC.refused, 'What was refused before a decision.', 'counter');
  const open = createFamily(METRIC.connections, 'Open connections.', 'gauge');
  const reauthorized = createFamily(
    METRIC.reauthorized,
    'Live connections and requests that a change no longer allows.',
    'counter',
  );
  const retries = createFamily(METRIC.retries, 'Wishes for another try of a call.', 'counter');
  const ejections = createFamily(METRIC.ejections, 'Endpoints left alone for a while.', 'counter');
  const checks = createFamily(METRIC.healthChecks, 'Active checks of endpoints.', 'counter');
  const jwks = createFamily(METRIC.jwksFetches, "Token issuers' keys asked for.", 'counter');
  const policies = createFamily(METRIC.policyRefusals, 'Policy versions refused.', 'counter');
  const all = [
    decisions,
    handshakes,
    refused,
    open,
    reauthorized,
    retries,
    ejections,
    checks,
    jwks,
    policies,
  ];
  return {
    decision: (verdict, reason) => decisions.counter({ verdict, reason }),
    handshake: (outcome, side, group = 'none') => handshakes.counter({ outcome, side, group }),
    refused: (kind) => refused.counter({ kind }),
    connections: (side, protocol) => open.counter({ side, protocol }),
    reauthorized: (outcome) => reauthorized.counter({ outcome }),
    retry: (outcome) => retries.counter({ outcome }),
    ejection: (reason) => ejections.counter({ reason }),
    healthCheck: (outcome) => checks.counter({ outcome }),
    jwksFetched: (outcome) => jwks.counter({ outcome }),
    policyRefused: (code) => policies.counter({ code }),
    handshakes: handshakes.samples,
    overflows: () => all.map((each) => each.overflow()),
    families: ({ gauges, nowMs }) => [
      ...all.map((each) => each.family()),
      ...gaugeFamilies(gauges, nowMs),
    ],
  };
}

function createFamily(name: string, help: string, kind: 'counter' | 'gauge'): Family {
  const samples = new Map<string, NumberSample & Counter>();
  let overflowed = 0;
  function find(labels: Record<string, string>): Counter {
    const key = Object.values(labels).join('\n');
    const known = samples.get(key);
    if (known !== undefined) return known;
    const isFull = samples.size >= MAX_SAMPLES;
    if (isFull && !Object.values(labels).includes(OVERFLOW)) {
      overflowed++;
      return find(overflowOf(labels));
    }
    const created = { labels, value: 0 };
    samples.set(key, created);
    return created;
  }
  return {
    counter: find,
    family: () => ({ name, help, kind, samples: [...samples.values()] }),
    samples: () => [...samples.values()],
    overflow: () => ({ labels: { metric: name }, value: overflowed }),
  };
}

function overflowOf(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.keys(labels).map((name) => [name, OVERFLOW]));
}

function gaugeFamilies(gauges: ProxyGauges, nowMs: number): MetricFamily[] {
  const { certificateExpiresAt, policyVersions, stalenessMs, records } = gauges;
  return [
    one(METRIC.certificateExpiry, 'Seconds until the certificate expires.', 'gauge', [
      certificateExpiresAt === undefined ? undefined : (certificateExpiresAt - nowMs) / 1000,
    ]),
    {
      name: METRIC.policyVersion,
      help: 'Number of the policy set enforced for a namespace.',
      kind: 'gauge',
      samples: policyVersions.map(({ namespace, number }) => ({
        labels: { namespace },
        value: number,
      })),
    },
    {
      name: METRIC.endpoints,
      help: 'Endpoints of the services called, by what is thought of them.',
      kind: 'gauge',
      samples: (gauges.endpoints ?? []).map(({ count, ...labels }) => ({ labels, value: count })),
    },
    one(METRIC.policyStaleness, 'Seconds since the configuration was known current.', 'gauge', [
      stalenessMs === undefined ? undefined : stalenessMs / 1000,
    ]),
    ...recordFamilies(records),
  ];
}

function one(
  name: string,
  help: string,
  kind: 'counter' | 'gauge',
  values: readonly (number | undefined)[],
): MetricFamily {
  const samples = values
    .filter((value) => value !== undefined)
    .map((value) => ({ labels: {}, value }));
  return { name, help, kind, samples };
}
