import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { diffText } from './diff.ts';
import { redactText, redactValue } from './redact.ts';

const PEM =
  '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqG\nSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----';

test('what looks like a secret goes, wherever it stands, and the rest stays', () => {
  const cases = [
    [`before ${PEM} after`, 'before [redacted:key] after'],
    ['authorization: Bearer abcdef0123456789', /^authorization: .*\[redacted:\w+\]$/],
    ['postgres://ann:hunter22@db/x', 'postgres://[redacted:userinfo]@db/x'],
    ['GET https://a.example/x?session=abc', 'GET https://a.example/x?[redacted:query]'],
    ['password: hunter22', 'password: [redacted:secret]'],
    ['spiffe://cluster.local/ns/default/sa/web', 'spiffe://cluster.local/ns/default/sa/web'],
    [`commit ${'a1'.repeat(32)}`, `commit ${'a1'.repeat(32)}`],
  ] as const;
  for (const [text, wanted] of cases) {
    const redacted = redactText(text);
    if (typeof wanted === 'string') assert.equal(redacted, wanted);
    else assert.match(redacted, wanted);
  }
});

test('members named like secrets and values that headers are compared with go whole', () => {
  const value = {
    clientSecret: 'x',
    nested: [{ apiKeys: ['a', { b: 'c' }] }],
    when: [{ key: 'request.headers[x-key]', values: ['v'], notValues: ['w'] }],
    fromHeaders: [{ name: 'x-jwt' }],
    port: 80,
    reauthorization: { requests: 'finish', within: '5s' },
    timeouts: { session: '24h' },
    session: 'c2Vzc2lvbg',
  };
  const gone = '[redacted:secret]';
  assert.deepEqual(redactValue(value), {
    clientSecret: gone,
    nested: [{ apiKeys: [gone, { b: gone }] }],
    when: [{ key: 'request.headers[x-key]', values: [gone], notValues: [gone] }],
    fromHeaders: [{ name: 'x-jwt' }],
    port: 80,
    reauthorization: { requests: 'finish', within: '5s' },
    timeouts: { session: '24h' },
    session: gone,
  });
});

test('a difference is of redacted text, bounded, and tells what it leaves out', () => {
  const render = (value: unknown): string => stringify(value);
  const many = Array.from({ length: 500 }, (_, i) => ({
    name: `r${i}`,
    before: undefined,
    after: { i },
  }));
  const text = diffText(many, render, 1_000);
  assert.ok(text.length < 1_100);
  assert.match(text, /… 4\d\d more changed/);
  const long = { lines: Array.from({ length: 2_000 }, (_, i) => i) };
  const large = diffText(
    [{ name: 'large', before: long, after: { ...long, token: 'abc' } }],
    render,
  );
  assert.match(large, /too long to show/);
  const changed = diffText(
    [{ name: 'x', before: { a: 1, password: 'old-one' }, after: { a: 2, password: 'new-one' } }],
    render,
  );
  assert.match(changed, /^--- x\n\+\+\+ x\n- a: 1\n\+ a: 2\n/);
  assert.doesNotMatch(changed, /old-one|new-one/);
});
