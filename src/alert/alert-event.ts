import { ALERTS, runbookOf } from './catalog.ts';
import { type Condition, conditionId, type Evidence } from './condition.ts';

/** An alert as the API, sinks and webhooks show it; times ISO 8601, keys as in the reference. */
export type AlertEvent = {
  /** Fingerprint of name and labels: the same alert keeps it over restarts. */
  readonly id: string;
  readonly name: string;
  /** What is told together: one message for all that share it. */
  readonly group: string;
  readonly severity: 'page' | 'ticket';
  readonly state: AlertPhase;
  readonly starts_at: string;
  readonly ends_at: string | null;
  readonly summary: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly evidence: readonly Evidence[];
  readonly likely_cause: string;
  /** Path in the repository. */
  readonly runbook: string;
  readonly command: string;
  /** The id of the silence it is under, or null. */
  readonly silenced_by: string | null;
  /** The alert or commit that explains it, or null. */
  readonly inhibited_by: string | null;
};

/** `pending`: holds, but not for long enough yet. */
export type AlertPhase = 'pending' | 'firing' | 'resolved';

/** Where an alert is in its life; times in ms. */
export type AlertLife = {
  readonly phase: AlertPhase;
  readonly startsAt: number;
  readonly endsAt: number | undefined;
  readonly silencedBy: string | undefined;
  readonly inhibitedBy: string | undefined;
};

/** Alerts of one name in one namespace (or about the mesh) belong together. */
export function groupOf({ name, labels }: Pick<Condition, 'name' | 'labels'>): string {
  return `${name}/${labels['namespace'] ?? 'mesh'}`;
}

/** Writes an alert out. */
export function alertEvent(condition: Condition, life: AlertLife): AlertEvent {
  const { name, severity, summary, labels, evidence, command } = condition;
  return {
    id: conditionId(condition),
    name,
    group: groupOf(condition),
    severity,
    state: life.phase,
    starts_at: new Date(life.startsAt).toISOString(),
    ends_at: life.endsAt === undefined ? null : new Date(life.endsAt).toISOString(),
    summary,
    labels,
    evidence,
    likely_cause: condition.likelyCause ?? ALERTS[name].likelyCause,
    runbook: runbookOf(name),
    command,
    silenced_by: life.silencedBy ?? null,
    inhibited_by: life.inhibitedBy ?? null,
  };
}
