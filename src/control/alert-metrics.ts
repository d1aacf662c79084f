import type { AlertEvent, SloStatus } from '#alert';
import { METRIC, type MetricFamily } from '#telemetry';

/** What alerting shows to whoever scrapes. */
export type AlertNumbers = {
  readonly alerts: readonly AlertEvent[];
  readonly slos: readonly SloStatus[];
  /** Out of 100. */
  readonly posture: number;
};

type Labels = Readonly<Record<string, string>>;

/** Alerts by name, error budgets by objective, and the posture; bounded by how many of each there can be. */
export function alertFamilies(numbers: AlertNumbers): readonly MetricFamily[] {
  const { alerts, slos, posture } = numbers;
  const each = (value: (status: SloStatus) => number) =>
    slos.map((status) => ({ labels: labelsOf(status), value: value(status) }));
  const burn = slos.flatMap((status) => [
    { labels: { ...labelsOf(status), window: '1h' }, value: status.burn1h },
    { labels: { ...labelsOf(status), window: '6h' }, value: status.burn6h },
  ]);
  return [
    gauge(METRIC.controlAlerts, 'Alerts by name and state.', countAlerts(alerts)),
    counter(
      METRIC.sloGood,
      'What was good for an objective since the start.',
      each(({ ever }) => ever.good),
    ),
    counter(
      METRIC.sloEvents,
      'What counted for an objective since the start.',
      each(({ ever }) => ever.total),
    ),
    counter(
      METRIC.sloPeriods,
      'Minutes in which somebody looked at an objective since the start.',
      each(({ ever }) => ever.measuredMinutes),
    ),
    counter(
      METRIC.sloBadPeriods,
      'Minutes in which something was bad for an objective since the start.',
      each(({ ever }) => ever.badMinutes),
    ),
    gauge(
      METRIC.sloObjective,
      'The share that has to be good.',
      each(({ slo }) => slo.objective),
    ),
    gauge(
      METRIC.sloBudgetLeft,
      'What is left of the error budget.',
      each(({ budgetLeftRatio }) => budgetLeftRatio),
    ),
    gauge(METRIC.sloBurnRate, 'How fast the error budget goes.', burn),
    gauge(METRIC.posture, 'How well the mesh is defended, out of 100.', [
      { labels: {}, value: posture },
    ]),
  ];
}

function labelsOf({ slo }: SloStatus): Labels {
  return { slo: slo.name, namespace: slo.namespace ?? '', service: slo.service ?? '' };
}

function countAlerts(alerts: readonly AlertEvent[]) {
  const counted = Map.groupBy(
    alerts.filter(({ state }) => state === 'firing'),
    ({ name, severity, silenced_by, inhibited_by }) => {
      const quiet = silenced_by !== null || inhibited_by !== null;
      return `${name} ${severity} ${quiet ? 'quiet' : 'firing'}`;
    },
  );
  return Array.from(counted, ([key, members]) => {
    const [alert = '', severity = '', state = ''] = key.split(' ');
    return { labels: { alert, severity, state }, value: members.length };
  });
}

type Samples = readonly { readonly labels: Labels; readonly value: number }[];

function gauge(name: string, help: string, samples: Samples): MetricFamily {
  return { name, help, kind: 'gauge', samples };
}

function counter(name: string, help: string, samples: Samples): MetricFamily {
  return { name, help, kind: 'counter', samples };
}
