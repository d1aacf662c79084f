import { type AlertEvent, type AlertPhase, alertEvent } from './alert-event.ts';
import { ALERTS, type AlertName } from './catalog.ts';
import { type Condition, conditionId } from './condition.ts';
import { explainedBy } from './inhibit.ts';
import { type Silence, silences } from './silence.ts';

/** One alert as kept on disk; times in ms. */
export type SavedAlert = {
  readonly condition: Condition;
  readonly phase: AlertPhase;
  /** Since when it holds. */
  readonly since: number;
  readonly startsAt: number;
  readonly endsAt?: number | undefined;
  /** What was last told, and when. */
  readonly toldPhase?: AlertPhase | undefined;
  readonly toldAt?: number | undefined;
};

/** Follows each alert from pending to firing to resolved, and tells each change once. */
export type AlertBook = {
  /** Takes what holds now; returns what somebody has to be told. */
  readonly update: (
    conditions: readonly Condition[],
    now: { readonly nowMs: number; readonly silences: readonly Silence[] },
  ) => readonly AlertEvent[];
  /** All of them: firing, then pending, then resolved; pages first, then the newest. */
  readonly alerts: () => readonly AlertEvent[];
  readonly save: () => readonly SavedAlert[];
};

type Alert = {
  condition: Condition;
  phase: AlertPhase;
  since: number;
  startsAt: number;
  endsAt: number | undefined;
  lastSeen: number;
  /** Whether it held when somebody last looked. */
  holds: boolean;
  toldPhase: AlertPhase | undefined;
  toldAt: number | undefined;
  silencedBy: string | undefined;
  inhibitedBy: string | undefined;
};

/** One that stops for less than this goes on; without it one that flickers would call somebody each time. */
export const KEEP_MS = 60_000;
/** One that goes on firing is told again after this. */
export const REPEAT_MS: number = 4 * 3_600_000;
const FORGET_RESOLVED_MS = 24 * 3_600_000;
const MAX_RESOLVED = 500;
// SECURITY: callers can be invented without end, and each could be an alert; the rest of a name is one more alert.
const MAX_PER_NAME = 100;
const PHASES: readonly AlertPhase[] = ['firing', 'pending', 'resolved'];

/** Creates a book with the alerts of an earlier run, none of which is told again. */
export function createAlertBook(saved: readonly SavedAlert[], nowMs: number): AlertBook {
  const alerts = new Map<string, Alert>();
  for (const one of saved) {
    if (!Object.hasOwn(ALERTS, one.condition.name)) continue;
    alerts.set(conditionId(one.condition), {
      ...one,
      endsAt: one.endsAt,
      toldPhase: one.toldPhase,
      toldAt: one.toldAt,
      // Nobody looked while we were away: what fired may still.
      lastSeen: nowMs,
      holds: false,
      silencedBy: undefined,
      inhibitedBy: undefined,
    });
  }

  return {
    update(conditions, now) {
      const held = bound(conditions);
      for (const condition of held) see(alerts, condition, now.nowMs);
      const seen = new Set(held.map(conditionId));
      for (const [id, alert] of Array.from(alerts)) {
        if (!seen.has(id)) miss(alerts, { id, alert, nowMs: now.nowMs });
      }
      forget(alerts, now.nowMs);
      explain(alerts, now.silences);
      return Array.from(alerts.values()).flatMap((alert) => tell(alert, now.nowMs));
    },
    alerts: () => Array.from(alerts.values()).sort(byUrgency).map(eventOf),
    save: () => Array.from(alerts.values(), savedOf),
  };
}

function see(alerts: Map<string, Alert>, condition: Condition, nowMs: number): void {
  const id = conditionId(condition);
  const known = alerts.get(id);
  const alert = known ?? newAlert(condition, nowMs);
  if (known === undefined) alerts.set(id, alert);
  if (alert.phase === 'resolved') Object.assign(alert, newAlert(condition, nowMs), told(alert));
  alert.condition = condition;
  alert.lastSeen = nowMs;
  alert.holds = true;
  if (alert.phase === 'pending' && nowMs - alert.since >= ALERTS[condition.name].forMs) {
    alert.phase = 'firing';
    alert.startsAt = nowMs;
  }
}

function newAlert(condition: Condition, nowMs: number): Alert {
  return {
    condition,
    phase: 'pending',
    since: nowMs,
    startsAt: nowMs,
    endsAt: undefined,
    lastSeen: nowMs,
    holds: true,
    toldPhase: undefined,
    toldAt: undefined,
    silencedBy: undefined,
    inhibitedBy: undefined,
  };
}

function told({ toldPhase, toldAt }: Alert): Pick<Alert, 'toldPhase' | 'toldAt'> {
  return { toldPhase, toldAt };
}

function miss(
  alerts: Map<string, Alert>,
  { id, alert, nowMs }: { readonly id: string; readonly alert: Alert; readonly nowMs: number },
): void {
  alert.holds = false;
  if (alert.phase === 'pending') alerts.delete(id);
  if (alert.phase !== 'firing' || nowMs - alert.lastSeen < KEEP_MS) return;
  alert.phase = 'resolved';
  alert.endsAt = nowMs;
}

function forget(alerts: Map<string, Alert>, nowMs: number): void {
  const resolved = Array.from(alerts)
    .filter(([, { phase }]) => phase === 'resolved')
    .sort(([, a], [, b]) => (b.endsAt ?? 0) - (a.endsAt ?? 0));
  for (const [index, [id, { endsAt = 0 }]] of resolved.entries()) {
    if (index >= MAX_RESOLVED || nowMs - endsAt > FORGET_RESOLVED_MS) alerts.delete(id);
  }
}

function explain(alerts: Map<string, Alert>, active: readonly Silence[]): void {
  const firing = Array.from(alerts.values())
    .filter(({ phase }) => phase === 'firing')
    .map(({ condition }) => condition);
  for (const alert of alerts.values()) {
    if (alert.phase === 'resolved') continue;
    alert.silencedBy = active.find((silence) => silences(silence, alert.condition))?.id;
    alert.inhibitedBy = explainedBy(alert.condition, firing);
  }
}

/** INVARIANT: a state is told once, and never while somebody has promised to look or another alert explains it. */
function tell(alert: Alert, nowMs: number): readonly AlertEvent[] {
  const { phase, holds, toldPhase, toldAt = 0 } = alert;
  const isNews =
    phase === 'firing' && holds && (toldPhase !== 'firing' || nowMs - toldAt >= REPEAT_MS);
  // Nobody hears that something is over who never heard that it began.
  const isOver = phase === 'resolved' && toldPhase === 'firing';
  if (isNews && (alert.silencedBy !== undefined || alert.inhibitedBy !== undefined)) return [];
  if (!isNews && !isOver) return [];
  alert.toldPhase = phase;
  alert.toldAt = nowMs;
  return [eventOf(alert)];
}

function savedOf({ condition, phase, since, startsAt, ...rest }: Alert): SavedAlert {
  const { endsAt, toldPhase, toldAt } = rest;
  return { condition, phase, since, startsAt, endsAt, toldPhase, toldAt };
}

function eventOf(alert: Alert): AlertEvent {
  return alertEvent(alert.condition, alert);
}

function byUrgency(a: Alert, b: Alert): number {
  return (
    PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase) ||
    Number(b.condition.severity === 'page') - Number(a.condition.severity === 'page') ||
    b.startsAt - a.startsAt
  );
}

/** At most so many of each name, and one more that counts the rest; of equal ids the first. */
function bound(conditions: readonly Condition[]): readonly Condition[] {
  const unique = new Map<string, Condition>();
  const counts = new Map<AlertName, number>();
  const rest = new Map<AlertName, Condition>();
  for (const condition of conditions) {
    const id = conditionId(condition);
    if (unique.has(id)) continue;
    const count = (counts.get(condition.name) ?? 0) + 1;
    counts.set(condition.name, count);
    if (count <= MAX_PER_NAME) unique.set(id, condition);
    else rest.set(condition.name, condition);
  }
  const folded = Array.from(rest, ([name, { severity, command }]): Condition => {
    const more = (counts.get(name) ?? 0) - MAX_PER_NAME;
    const summary = `${more} more: ${ALERTS[name].title}`;
    return { name, severity, command, labels: { overflow: 'true' }, summary, evidence: [] };
  });
  return [...unique.values(), ...folded];
}
