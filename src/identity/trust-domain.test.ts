import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustDomain } from './trust-domain.ts';

test('accepts what SPIFFE-ID 2.1 allows', () => {
  for (const text of ['cluster.local', 'a', 'a_b-c.1', '..', '-', 'a'.repeat(255), '10.0.0.1']) {
    assert.deepEqual(parseTrustDomain(text), { ok: true, value: text });
  }
});

test('refuses every character that is not allowed, at every place', () => {
  const allowed = /[a-z0-9._-]/;
  for (let code = 0; code < 0x180; code++) {
    const character = String.fromCharCode(code);
    for (const text of [character, `${character}a`, `a${character}`, `a${character}b`]) {
      assert.equal(parseTrustDomain(text).ok, allowed.test(character), JSON.stringify(text));
    }
  }
});

test('refuses the empty and the overlong name, and shows a hostile character escaped', () => {
  assert.equal(parseTrustDomain('').ok, false);
  assert.equal(parseTrustDomain('a'.repeat(256)).ok, false);
  const refused = parseTrustDomain('a\nb');
  assert.ok(!refused.ok && refused.error.startsWith('`\\n` at 1 '));
});
