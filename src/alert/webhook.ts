import type { AlertEvent } from './alert-event.ts';

/** What Alertmanager sends to webhooks, version 4: one message for a group. */
export type AlertmanagerWebhook = {
  readonly version: '4';
  readonly groupKey: string;
  readonly truncatedAlerts: number;
  readonly status: 'firing' | 'resolved';
  readonly receiver: string;
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly commonLabels: Readonly<Record<string, string>>;
  readonly commonAnnotations: Readonly<Record<string, string>>;
  readonly externalURL: string;
  readonly alerts: readonly {
    readonly status: 'firing' | 'resolved';
    readonly endsAt: string;
    readonly generatorURL: string;
    readonly fingerprint: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly startsAt: string;
  }[];
};

// What Go writes for no time at all, which is how Alertmanager says that an alert has not ended.
const NO_TIME = '0001-01-01T00:00:00Z';

/** `denial-burst` as rules of Prometheus name it: `PalisadeDenialBurst`. */
export function prometheusName(name: string): string {
  const words = name.split('-').map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`);
  return `Palisade${words.join('')}`;
}

/** One message a group, as Alertmanager's own webhooks look. `consoleUrl` without a slash at its end. */
export function alertmanagerWebhooks(
  events: readonly AlertEvent[],
  { receiver, consoleUrl }: { readonly receiver: string; readonly consoleUrl: string },
): readonly AlertmanagerWebhook[] {
  const groups = Map.groupBy(events, ({ group }) => group);
  return Array.from(groups, ([groupKey, members]): AlertmanagerWebhook => {
    const labels = members.map(labelsOf);
    const annotations = members.map(annotationsOf);
    const [first] = members;
    return {
      version: '4',
      groupKey,
      truncatedAlerts: 0,
      status: members.some(({ state }) => state !== 'resolved') ? 'firing' : 'resolved',
      receiver,
      groupLabels: groupLabelsOf(first),
      commonLabels: common(labels),
      commonAnnotations: common(annotations),
      externalURL: consoleUrl,
      alerts: members.map((event) => ({
        status: event.state === 'resolved' ? 'resolved' : 'firing',
        labels: labelsOf(event),
        annotations: annotationsOf(event),
        startsAt: event.starts_at,
        endsAt: event.ends_at ?? NO_TIME,
        generatorURL: `${consoleUrl}/alerts`,
        fingerprint: event.id,
      })),
    };
  });
}

// Alerts of one name in one namespace are a group.
function groupLabelsOf(event: AlertEvent | undefined): Readonly<Record<string, string>> {
  const namespace = event?.labels['namespace'];
  const alertname = prometheusName(event?.name ?? '');
  return namespace === undefined ? { alertname } : { alertname, namespace };
}

function labelsOf({ name, severity, labels }: AlertEvent): Readonly<Record<string, string>> {
  return { ...labels, alertname: prometheusName(name), severity };
}

function annotationsOf(event: AlertEvent): Readonly<Record<string, string>> {
  const { summary, likely_cause, runbook, command, evidence } = event;
  const proof = evidence.map(({ text }) => text).join('; ');
  return { summary, likely_cause, runbook, command, evidence: proof };
}

function common(all: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const [first = {}, ...rest] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([key, value]) => rest.every((one) => one[key] === value)),
  );
}
