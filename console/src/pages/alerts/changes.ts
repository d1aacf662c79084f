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
      what: deedWords(event),
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

/** What was done, by the action that the log names it with; one that is not known here keeps its name. */
const DEEDS: Readonly<Record<string, (target: string) => string>> = {
  'policy.commit': (target) => `policy ${target.replace(/\/(\d+)$/, ', version $1')}`,
  'identity.revoke': (target) => `revocation of ${target}`,
  'identity.unrevoke': (target) => `end of the revocation of ${target}`,
  'ca.prepare_root': () => 'preparation of the next root',
  'ca.rotate': () => 'rotation of the root',
  'join_token.create': (target) => `join token for ${target}`,
  'alert.silence': (target) => `silence of ${target}`,
  'alert.unsilence': (target) => `end of the silence of ${target}`,
  'sink.test': (target) => `test of the sink ${target}`,
  'process.start': (target) => `start of ${target}`,
  'process.stop': (target) => `stop of ${target}`,
};

function deedWords(event: AuditEvent): string {
  const target = targetName(event);
  const words = target === '' ? undefined : DEEDS[event.action];
  return words === undefined
    ? [event.action, event['target.kind'], target].filter(Boolean).join(' ')
    : words(target);
}

function targetName(event: AuditEvent): string {
  return [event['target.namespace'], event['target.name']].filter(Boolean).join('/');
}

function newestFirst(a: Change, b: Change): number {
  return b.time.localeCompare(a.time);
}
