import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMessage, encodeOnce, grpcDefinition, Host, WhoAmIResponseSchema } from './index.ts';

test('a message that was encoded once is sent as its bytes', () => {
  const message = createMessage(WhoAmIResponseSchema, { trustDomain: 'example.org' });
  const { responseSerialize: serialize } = grpcDefinition(Host)['whoAmI'] ?? {};
  assert.ok(serialize);
  const bytes = serialize(message);
  const standIn = encodeOnce(WhoAmIResponseSchema, message);
  message.trustDomain = 'changed.example';
  assert.deepEqual(serialize(standIn), bytes);
  assert.equal(serialize(standIn), serialize(standIn), 'the very same');
  assert.notDeepEqual(serialize(message), bytes, 'the message itself stays what it is');
});
