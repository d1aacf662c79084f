import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PathTemplate } from '#lib';
import { createRecordedCall, type RecordedCall } from './access-record.ts';
import { createRedactor, type RedactionRules } from './redactor.ts';

const RESET: PathTemplate = {
  isPrefix: true,
  segments: [
    { kind: 'literal', text: 'reset' },
    { kind: 'secret', name: 'code' },
  ],
};

type Seen = Pick<RecordedCall, 'path' | 'host' | 'headers' | 'redacted'>;

function redact(call: Partial<RecordedCall>, rules?: RedactionRules, key = 'k'): Seen {
  const whole = { ...createRecordedCall({ json: '' }), ...call };
  createRedactor(Buffer.from(key), rules).redact(whole);
  const { path, host, headers, redacted } = whole;
  return { path, host, headers, redacted };
}

function check(
  name: string,
  call: Partial<RecordedCall>,
  expected: Partial<Seen>,
  rules?: RedactionRules,
): void {
  test(name, () => {
    const nothing = { path: null, host: null, headers: undefined, redacted: undefined };
    assert.deepEqual(redact(call, rules), { ...nothing, ...call, ...expected });
  });
}

check('a call without secrets is left as it is', { path: '/orders/1', host: 'orders:80' }, {});
check(
  'an address in a path goes, and the record says so',
  { path: '/users/alice@example.org' },
  { path: '/users/[redacted:email]', redacted: ['path'] },
);
check(
  'so does userinfo in a host',
  { path: '/a@example.org', host: 'bob:hunter2@orders.example' },
  { path: '/[redacted:email]', host: 'bob:[redacted:email]', redacted: ['host', 'path'] },
);
check(
  'a header keeps its name',
  { headers: [['user-agent', 'curl Bearer abcdefgh12345']] },
  { headers: [['user-agent', 'curl Bearer [redacted:token]']], redacted: ['headers.user-agent'] },
);
check(
  'segments that a policy names go, and what is recognized in the rest',
  { path: '/reset/12/bob@example.org' },
  { path: '/reset/[redacted:code]/[redacted:email]', redacted: ['path'] },
  { paths: [RESET], hashed: [] },
);
check('no other path', { path: '/other/12' }, {}, { paths: [RESET], hashed: [] });

test('keyed hashes join like with like, and say nothing without the key', () => {
  const rules = { paths: [RESET], hashed: ['email', 'code'] };
  const pathOf = (path: string, key?: string) => redact({ path }, rules, key).path;
  assert.match(pathOf('/u/a@b.org') ?? '', /^\/u\/\[redacted:email:[\w-]{12}\]$/);
  assert.equal(pathOf('/u/a@b.org'), pathOf('/u/a@b.org'));
  assert.notEqual(pathOf('/u/a@b.org'), pathOf('/u/c@b.org'));
  assert.notEqual(pathOf('/u/a@b.org'), pathOf('/u/a@b.org', 'another'));
  assert.match(pathOf('/reset/12') ?? '', /^\/reset\/\[redacted:code:[\w-]{12}\]$/);
});

test('a secret at the end of a path that is cut is recognized before', () => {
  const path = `/${'a/'.repeat(500)}alice@example.org`;
  assert.doesNotMatch(redact({ path }).path ?? '', /alice/);
});
