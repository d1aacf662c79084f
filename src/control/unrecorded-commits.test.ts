import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEvent, AuditFields } from '#audit';
import type { StoredCommit } from './store.ts';
import { recordUnrecordedCommits } from './unrecorded-commits.ts';

const commit = (number: number, receivedAt: string) =>
  ({
    namespace: 'default',
    number,
    hash: `h${number}`,
    receivedFrom: 'ann',
    receivedAt,
  }) as StoredCommit;

test('a commit that a crash left without a record gets one, once; older ones are left alone', async () => {
  const events: AuditEvent[] = [];
  const audit = {
    append: async (fields: AuditFields) => {
      const time = '2026-01-02T00:00:00.000Z';
      const event = { ...fields, time, index: events.length, previous_hash: '', hash: '' };
      events.push(event);
      return event;
    },
    readAfter: async () => events,
    newestIndex: () => events.length - 1,
  };
  const commits = [
    commit(1, '2026-01-01T00:00:00.000Z'),
    commit(2, '2026-01-02T00:00:01.000Z'),
    commit(3, '2026-01-02T00:00:02.000Z'),
  ];
  const store = {
    heads: () => commits.slice(-1),
    commitsAfter: (_namespace: string, number: number) =>
      commits.filter((each) => each.number > number),
  };
  assert.equal(await recordUnrecordedCommits(audit, store), 0, 'the log has not begun');
  const deed = { action: 'policy.commit', 'actor.id': 'ann', result: 'ok' } as const;
  await audit.append({ ...deed, reason: 'commit h2' });
  assert.equal(await recordUnrecordedCommits(audit, store), 1);
  assert.equal(events.at(-1)?.reason, 'commit h3');
  assert.equal(events.at(-1)?.['target.name'], '3');
  assert.equal(await recordUnrecordedCommits(audit, store), 0);
});
