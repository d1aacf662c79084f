import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AckSchema,
  createMessage,
  HelloSchema,
  LookupSchema,
  type PolicySetUpdate,
  PolicySetUpdateSchema,
  type SubscribeResponse,
} from '#wire';
import { createEndpointRegistry } from './endpoints.ts';
import type { PolicySets } from './policy-sets.ts';
import { createSubscriber } from './subscriber.ts';
import type { SetHead, UpdateBuilder } from './updates.ts';

/** A subscriber of `default` whose stream takes as many messages as `room` says. */
function connect(
  known: SetHead | undefined,
  head: SetHead,
  room = { messages: 100 },
  trustRootVersion = 1n,
) {
  const state = { head };
  const sent: string[] = [];
  const errors: unknown[] = [];
  const sets = {
    current: () => ({ head: state.head }),
    all: () => [{ namespace: 'default', head: state.head }],
  } as unknown as PolicySets;
  const updates: UpdateBuilder = {
    update: (namespace, from): PolicySetUpdate | undefined => {
      if (from?.hash === state.head.hash) return undefined;
      sent.push(`${from?.number ?? 'nothing'} to ${state.head.number}`);
      return createMessage(PolicySetUpdateSchema, { namespace });
    },
    lookup: () => {
      throw new Error('nobody looks anything up');
    },
    moved: () => {},
  };
  const endpoints = createEndpointRegistry({ clock: () => 0, graceMs: 1, onChange: () => {} });
  const written: SubscribeResponse[] = [];
  const subscriber = createSubscriber(
    createMessage(HelloSchema, {
      node: 'default/a/1',
      kind: 'proxy',
      namespaces: ['default'],
      trustRootVersion,
      known: known === undefined ? [] : [versionOf(known)],
    }),
    {
      write(response) {
        written.push(response);
        room.messages--;
        return room.messages > 0;
      },
    },
    {
      sets,
      updates,
      endpoints,
      trustRoot: () => ({ version: 1, envelope: new Uint8Array() }),
      auditCheckpoint: () => undefined,
      onError: (error) => errors.push(error),
    },
  );
  const move = (number: number): void => {
    state.head = headOf(number);
    subscriber.policyChanged('default');
  };
  const ack = (enforced: SetHead, refused: SetHead[] = []): void =>
    subscriber.acknowledged(
      createMessage(AckSchema, {
        enforced: [versionOf(enforced)],
        refused: refused.map((head) => ({ ...versionOf(head), code: 'gap', message: 'no' })),
      }),
    );
  return { subscriber, sent, written, errors, move, ack, room };
}

const headOf = (number: number): SetHead => ({ number, hash: `hash-${number}` });
const versionOf = ({ number, hash }: SetHead) => ({
  namespace: 'default',
  number: BigInt(number),
  hash,
});

test('a stream that is full gets one step to the newest head, however many there were', () => {
  const { subscriber, sent, move, room } = connect(headOf(1), headOf(2), { messages: 1 });
  for (const number of [3, 4, 5]) move(number);
  assert.deepEqual(sent, ['1 to 2']);
  room.messages = 100;
  subscriber.drained();
  assert.deepEqual(sent, ['1 to 2', '2 to 5']);
});

test('after a refusal the next step starts from what is enforced', () => {
  const { sent, move, ack } = connect(headOf(1), headOf(2));
  ack(headOf(1), [headOf(2)]);
  assert.deepEqual(sent, ['1 to 2']);
  move(3);
  assert.deepEqual(sent, ['1 to 2', '1 to 3']);
});

test('a refusal of a step that began at a refused one is answered with the right step, once', () => {
  const { sent, move, ack } = connect(headOf(1), headOf(2));
  move(3);
  assert.deepEqual(sent, ['1 to 2', '2 to 3']);
  for (let i = 0; i < 3; i++) ack(headOf(1), [headOf(3)]);
  assert.deepEqual(sent, ['1 to 2', '2 to 3', '1 to 3']);
});

test('who pinned an older trust root is sent ours, who has it is not', () => {
  const cases = [
    [1n, []],
    [0n, ['trustRoot']],
  ] as const;
  for (const [trustRootVersion, sent] of cases) {
    const { written } = connect(headOf(1), headOf(1), { messages: 100 }, trustRootVersion);
    assert.deepEqual(
      written.map(({ message }) => message.case),
      sent,
    );
  }
});

test('a database that cannot be read costs a message, not the stream', () => {
  const { subscriber, written, errors, move } = connect(headOf(1), headOf(1));
  subscriber.lookedUp(
    createMessage(LookupSchema, { namespace: 'other', kind: 'Mesh', name: 'mesh' }),
  );
  assert.equal(errors.length, 1);
  move(2);
  assert.equal(written.length, 1);
});
