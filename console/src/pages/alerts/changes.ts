import type { AuditEvent } from '../../api/audit-event.ts';
import type { PolicySetSummary } from '../../api/policy-set.ts';

/** Something that changed the mesh: when, by whom, what, and where to look at it. */
export type Change = {
  readonly key: string;
  readonly time: string;
  readonly who: string | null;
  readonly what: string;
  readonly refused: boolean;
  readonly link: string;
};

/** Actions that leave the mesh as it was: looking at it, signing in, taking copies. */
const CHANGES_NOTHING = /^(admin\.|console\.|export\.|api\.get|audit\.|check|test)/;

/** What changed, by the audit log; newest first. */
export function changesOfAudit(events: readonly AuditEvent[]): readonly Change[] {
  return events
    .filter((event) => !CHANGES_NOTHING.test(event.action))
    .map((event) => ({
      key: `${event.log ?? ''}${event.index}`,
      time: event.time,
      who: event['actor.id'] ?? null,
      what: [event.action, event['target.kind'], targetName(event)].filter(Boolean).join(' '),
      refused: event.result === 'refused',
      link: `/evidence?event=${event.index}`,
    }))
    .toSorted(newestFirst);
}

/** What changed, where there is no audit log to ask: the newest signed change of each namespace. */
export function changesOfSets(
  sets: readonly PolicySetSummary[],
  fromMs: number,
): readonly Change[] {
  return sets
    .filter((set) => Date.parse(set.time) >= fromMs)
    .map((set) => ({
      key: set.namespace,
      time: set.time,
      who: set.author,
      what: `policy of ${set.namespace}, version ${set.number}`,
      refused: false,
      link: `/policies?ns=${encodeURIComponent(set.namespace)}`,
    }))
    .toSorted(newestFirst);
}

function targetName(event: AuditEvent): string {
  return [event['target.namespace'], event['target.name']].filter(Boolean).join('/');
}

function newestFirst(a: Change, b: Change): number {
  return b.time.localeCompare(a.time);
}
