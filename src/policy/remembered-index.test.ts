import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFacts } from './facts.ts';
import { namespaceIndex } from './identity-index.ts';
import { NumberList } from './number-list.ts';
import { parseCondition } from './pattern.ts';
import { rememberedByText } from './remembered-index.ts';

function namespacePattern(text: string) {
  const parsed = parseCondition(
    { field: 'namespace', negated: false, values: [text] },
    { trustDomain: 'td', namespace: 'default' },
  );
  assert.ok(parsed.ok);
  const [pattern] = parsed.value.patterns;
  assert.ok(pattern !== undefined);
  return pattern;
}

test('what a caller matched is the same the second time, and for thousands of callers', () => {
  const index = namespaceIndex();
  const remembered = rememberedByText(index, ({ localId }) => localId);
  for (const [number, text] of ['web', 'w*', 'shop', '*'].entries()) {
    remembered.at(namespacePattern(text), () => number);
  }
  const facts = createFacts();
  const asked = (namespace: string | undefined): string => {
    facts.localId = namespace && `spiffe://td/ns/${namespace}/sa/a`;
    const out = new NumberList();
    out.push(77);
    remembered.collect(facts, out);
    return Array.from({ length: out.count }, (_, i) => out.at(i))
      .sort()
      .join();
  };
  for (let round = 0; round < 2; round++) {
    assert.equal(asked('web'), '0,1,3,77');
    assert.equal(asked('shop'), '2,3,77');
    assert.equal(asked(undefined), '77');
  }
  for (let i = 0; i < 3_000; i++) assert.equal(asked(`n${i}`), '3,77');
  assert.equal(asked('web'), '0,1,3,77');
  // A pattern that comes later counts for callers that were seen before.
  remembered.at(namespacePattern('we*'), () => 4);
  assert.equal(asked('web'), '0,1,3,4,77');
});
