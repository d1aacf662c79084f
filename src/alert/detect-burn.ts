import { formatDuration } from '#lib';
import type { SloStatus } from './burn.ts';
import { ALERTS, type AlertName } from './catalog.ts';
import type { Condition } from './condition.ts';
import { SLIS, type SliName } from './sli.ts';
import { formatObjective } from './slo.ts';

const MINUTE_MS = 60_000;

/** The alert of each indicator. */
export const BURN_ALERTS: Readonly<Record<SliName, AlertName>> = {
  authentication_success: 'authentication-budget-burn',
  handshake_success: 'handshake-budget-burn',
  decision_latency: 'decision-latency-budget-burn',
  policy_propagation: 'policy-propagation-budget-burn',
  telemetry_completeness: 'telemetry-completeness-budget-burn',
  certificate_horizon: 'certificate-horizon-budget-burn',
  denial_rate: 'denial-rate-budget-burn',
  control_availability: 'control-availability-budget-burn',
  control_latency: 'control-latency-budget-burn',
};

const COMMANDS: Readonly<Record<SliName, string>> = {
  authentication_success: 'palisade identity list',
  handshake_success: 'palisade status',
  decision_latency: 'palisade slo list',
  policy_propagation: 'palisade status',
  telemetry_completeness: 'palisade status',
  certificate_horizon: 'palisade ca status',
  denial_rate: 'palisade log --denied --since 1h',
  control_availability: 'palisade doctor',
  control_latency: 'palisade slo list',
};

/** The objectives whose budget goes too fast; the faster of two rules speaks. */
export function burningConditions(statuses: readonly SloStatus[]): readonly Condition[] {
  return statuses.flatMap(({ slo, burning, budgetLeftRatio }): readonly Condition[] => {
    if (burning === undefined || slo.alert === 'none') return [];
    const { rule, burnLong, bad, total, measuredMs } = burning;
    const name = BURN_ALERTS[slo.sli];
    const long = windowWords(rule.longMs, measuredMs);
    const labels = {
      slo: slo.name,
      ...(slo.namespace === undefined ? {} : { namespace: slo.namespace }),
      ...(slo.service === undefined ? {} : { service: slo.service }),
    };
    return [
      {
        name,
        severity: slo.alert === 'ticket' ? 'ticket' : rule.severity,
        labels,
        summary: `${slo.name}: ${ALERTS[name].title}; its budget goes ${burnLong.toFixed(1)} times too fast`,
        evidence: [
          {
            text: `${bad.toFixed(0)} of ${total.toFixed(0)} ${SLIS[slo.sli].bad} in ${long}; the objective is ${formatObjective(slo.objective)} over ${formatDuration(slo.windowMs)}`,
            link: '/alerts',
          },
          {
            text: budgetWords(budgetLeftRatio),
            link: '/alerts',
          },
        ],
        command: COMMANDS[slo.sli],
      },
    ];
  });
}

/** `1h`, or `1h (20m of it measured)` of a mesh that is younger, or was away. */
function windowWords(longMs: number, measuredMs: number): string {
  const long = formatDuration(longMs);
  if (measuredMs > 0.95 * longMs) return long;
  return `${long} (${formatDuration(Math.round(measuredMs / MINUTE_MS) * MINUTE_MS)} of it measured)`;
}

/** An overdrawn budget is told in budgets: "-155 % is left" makes a reader do the sum. */
function budgetWords(leftRatio: number): string {
  if (leftRatio > 0) return `${(leftRatio * 100).toFixed(1)} % of the budget is left`;
  return `the budget is spent ${(1 - leftRatio).toFixed(1)} times over`;
}
