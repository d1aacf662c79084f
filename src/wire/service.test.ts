import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMessage, encodeOnce, Host, WhoAmIResponseSchema } from './index.ts';
import { encodeFrame } from './service.ts';

test('a message that was encoded once is sent as its bytes', () => {
  const message = createMessage(WhoAmIResponseSchema, { trustDomain: 'example.org' });
  const { output } = Host.method.whoAmI;
  const frame = encodeFrame(output, message);
  const standIn = encodeOnce(WhoAmIResponseSchema, message);
  message.trustDomain = 'changed.example';
  assert.deepEqual(encodeFrame(output, standIn), frame);
  assert.equal(encodeFrame(output, standIn), encodeFrame(output, standIn), 'the very same');
  assert.notDeepEqual(encodeFrame(output, message), frame, 'the message itself stays what it is');
});
