import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSignatureMemory } from './signature-memory.ts';

function asked(limit: number) {
  const memory = createSignatureMemory(limit);
  let calls = 0;
  const holds = (key: string, certificate: string, isGood = true): boolean =>
    memory.holds({ keyDer: Buffer.from(key), certificateDer: Buffer.from(certificate) }, () => {
      calls++;
      return isGood;
    });
  return { holds, calls: () => calls };
}

test('a signature that verified is not verified again; of other bytes or another key it is', () => {
  const { holds, calls } = asked(10);
  assert.ok(holds('key', 'leaf'));
  assert.ok(holds('key', 'leaf'));
  assert.equal(calls(), 1);
  assert.equal(holds('other key', 'leaf', false), false);
  assert.equal(holds('key', 'other leaf', false), false);
  assert.equal(calls(), 3);
});

test('attack: what failed fails again, and takes no room', () => {
  const { holds, calls } = asked(2);
  assert.ok(holds('key', 'good'));
  for (let i = 0; i < 5; i++) assert.equal(holds('key', `forged ${i % 2}`, false), false);
  assert.equal(calls(), 6);
  assert.ok(holds('key', 'good'));
  assert.equal(calls(), 6, 'the good one is still known');
});

test('no more are remembered than the limit, the oldest go', () => {
  const { holds, calls } = asked(2);
  for (const leaf of ['a', 'b', 'c']) holds('key', leaf);
  holds('key', 'c');
  holds('key', 'b');
  assert.equal(calls(), 3);
  holds('key', 'a');
  assert.equal(calls(), 4);
});
