import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEvent, AuditFields } from '#audit';
import { createMessage, HelloSchema } from '#wire';
import { createProcessStarts } from './process-starts.ts';

function fakeAudit() {
  const events: AuditEvent[] = [];
  return {
    events,
    append: async (fields: AuditFields): Promise<AuditEvent> => {
      const event = { ...fields, time: '', index: events.length, previous_hash: '', hash: '' };
      events.push(event);
      return event;
    },
    readAfter: async (index: number) => events.filter((event) => event.index > index),
    newestIndex: () => events.length - 1,
  };
}

const hello = (node: string, startedAtMs: bigint) =>
  createMessage(HelloSchema, { node, kind: 'proxy', spiffeId: `spiffe://td/${node}`, startedAtMs });

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('each start is on record once, however often the process greets, over restarts of the control plane', async () => {
  const audit = fakeAudit();
  const first = createProcessStarts(audit, () => 0);
  first.greeted(hello('a/b/1', 1_000n), 'agent');
  first.greeted(hello('a/b/1', 1_000n), 'agent');
  first.greeted(hello('a/b/2', 0n), 'agent');
  await settled();
  const second = createProcessStarts(audit, () => 0);
  second.greeted(hello('a/b/1', 1_000n), 'agent');
  second.greeted(hello('a/b/1', 2_000n), 'agent');
  await settled();
  await settled();
  assert.deepEqual(
    audit.events.map((event) => [event['target.name'], event['actor.id'], event.reason]),
    [
      ['a/b/1', 'spiffe://td/a/b/1', 'proxy, started 1970-01-01T00:00:01.000Z'],
      ['a/b/1', 'spiffe://td/a/b/1', 'proxy, started 1970-01-01T00:00:02.000Z'],
    ],
  );
});

test('attack: ever new names fill neither the disk nor the memory', async () => {
  const audit = fakeAudit();
  const starts = createProcessStarts(audit, () => 0);
  for (let i = 0; i < 5_000; i++) starts.greeted(hello(`a/b/${i}`, 1_000n), 'agent');
  await settled();
  await settled();
  assert.equal(audit.events.length, 1_000);
  starts.greeted(hello('far/off', 2n ** 62n), 'agent');
  await settled();
  assert.equal(audit.events.length, 1_000);
});
