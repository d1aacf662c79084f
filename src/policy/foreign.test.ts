import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '#identity';
import { createFacts, createNeeds, factText, readFacts } from './facts.ts';
import { localIdOf, type Question } from './question.ts';

function question(text: string, isForeign: boolean | undefined): Question {
  const id = parseSpiffeId(text);
  assert.ok(id.ok);
  return {
    source: { id: id.value, isForeign, ip: '127.0.0.1' },
    connection: { tls: true, sni: undefined },
    request: undefined,
    destination: { port: 80 },
    nowMs: 0,
  };
}

test('attack: a foreign trust domain names a workload as one of ours is named', () => {
  const text = 'spiffe://partner.example/ns/shop/sa/web';
  const facts = createFacts();
  for (const [isForeign, local] of [
    [true, undefined],
    [false, text],
    [undefined, text],
  ] as const) {
    const asked = question(text, isForeign);
    assert.equal(localIdOf(asked), local);
    readFacts(asked, createNeeds(), facts);
    assert.equal(factText('namespace', facts), local);
    assert.equal(factText('serviceAccount', facts), local);
    assert.equal(factText('principal', facts), text, 'its full principal is there to be named');
  }
});
