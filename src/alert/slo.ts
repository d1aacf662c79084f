import { SLIS, type SliName } from './sli.ts';

/** An objective for one indicator over a window; in ms. */
export type Slo = {
  readonly name: string;
  readonly sli: SliName;
  /** The share that has to be good, above 0 and below 1. */
  readonly objective: number;
  readonly windowMs: number;
  /** For indicators that are durations; undefined for others. */
  readonly thresholdMs: number | undefined;
  /** The namespace whose services count; undefined: the whole mesh. */
  readonly namespace: string | undefined;
  /** One service of that namespace; undefined: all. */
  readonly service: string | undefined;
  /** What a burning budget may do at most. */
  readonly alert: 'page' | 'ticket' | 'none';
  /** Whether it is one of those that are there without anybody writing them. */
  readonly builtIn: boolean;
};

const DAY_MS = 24 * 3_600_000;

/** The objective of an indicator as it is written in an SLO. */
export function builtInSlo(
  sli: SliName,
  objective: number,
  alert: 'page' | 'ticket' = 'page',
): Slo {
  return {
    name: sli.replaceAll('_', '-'),
    sli,
    objective,
    windowMs: 30 * DAY_MS,
    thresholdMs: SLIS[sli].thresholdMs,
    namespace: undefined,
    service: undefined,
    alert,
    builtIn: true,
  };
}

/** What holds for a mesh whose operators wrote no SLO; one of the same name in the root namespace replaces it. */
export const DEFAULT_SLOS: readonly Slo[] = [
  builtInSlo('authentication_success', 0.999),
  builtInSlo('handshake_success', 0.9995),
  builtInSlo('decision_latency', 0.95),
  builtInSlo('policy_propagation', 0.99),
  builtInSlo('telemetry_completeness', 0.99),
  builtInSlo('certificate_horizon', 0.999),
  // What is denied is mostly somebody else's mistake: worth a look, and only a burst of it a page.
  builtInSlo('denial_rate', 0.95, 'ticket'),
  builtInSlo('control_availability', 0.999),
  builtInSlo('control_latency', 0.95, 'ticket'),
];

/** Where something was observed. */
export type Scope = {
  readonly namespace?: string | undefined;
  readonly service?: string | undefined;
};

/** Whether what was observed there counts towards the objective. */
export function covers(slo: Slo, scope: Scope): boolean {
  if (slo.namespace !== undefined && slo.namespace !== scope.namespace) return false;
  return slo.service === undefined || slo.service === scope.service;
}

/** `0.999` as `99.9%`. */
export function formatObjective(objective: number): string {
  return `${Number((objective * 100).toFixed(4))}%`;
}
