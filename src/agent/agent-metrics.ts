import { METRIC, type MetricFamily } from '#telemetry';
import type { BundleStanding } from './foreign-standing.ts';

/** What an agent shows to whoever scrapes; times in ms since 1970. */
export type AgentNumbers = {
  readonly nowMs: number;
  readonly ready: boolean;
  readonly connected: boolean;
  readonly policySets: number;
  /** Identities that it serves to workloads now. */
  readonly workloads: number;
  /** Undefined while it has no certificate. */
  readonly certificateExpiresAt: number | undefined;
  /** Of foreign trust domains; policy names them, so they are few. */
  readonly foreign: readonly BundleStanding[];
};

/** Writes an agent's numbers as metrics. */
export function agentFamilies(numbers: AgentNumbers): readonly MetricFamily[] {
  const { nowMs, certificateExpiresAt } = numbers;
  return [
    gauge(METRIC.agentReady, 'Whether it can serve identities.', Number(numbers.ready)),
    gauge(METRIC.agentConnected, 'Whether it hears of new policy.', Number(numbers.connected)),
    gauge(METRIC.agentPolicySets, 'Policy sets that it holds.', numbers.policySets),
    gauge(METRIC.agentWorkloads, 'Identities that it serves to workloads.', numbers.workloads),
    gauge(
      METRIC.agentCertificateExpiry,
      "Seconds until the agent's own certificate expires.",
      certificateExpiresAt === undefined ? undefined : (certificateExpiresAt - nowMs) / 1_000,
    ),
    foreignFamily(
      METRIC.agentForeignBundleExpiry,
      'Seconds until the last root of a foreign trust domain ends.',
      numbers.foreign.map(({ trustDomain, validity }) => [
        trustDomain,
        validity && (validity.expiresAt - nowMs) / 1_000,
      ]),
    ),
    foreignFamily(
      METRIC.agentForeignBundleAge,
      'Seconds since the bundle endpoint of a foreign trust domain last answered.',
      numbers.foreign.map(({ trustDomain, refreshedAt }) => [
        trustDomain,
        refreshedAt === undefined ? undefined : (nowMs - refreshedAt) / 1_000,
      ]),
    ),
  ];
}

function gauge(name: string, help: string, value: number | undefined): MetricFamily {
  const samples = value === undefined ? [] : [{ labels: {}, value }];
  return { name, help, kind: 'gauge', samples };
}

const MAX_TRUST_DOMAINS = 64;

function foreignFamily(
  name: string,
  help: string,
  values: readonly (readonly [trustDomain: string, value: number | undefined])[],
): MetricFamily {
  const samples = values
    .slice(0, MAX_TRUST_DOMAINS)
    .flatMap(([trust_domain, value]) =>
      value === undefined ? [] : { labels: { trust_domain }, value },
    );
  return { name, help, kind: 'gauge', samples };
}
