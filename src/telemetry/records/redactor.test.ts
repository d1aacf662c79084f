import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PathTemplate } from '#lib';
import { createRecordedCall, type RecordedCall } from './access-record.ts';
import { createRedactor, type MeshKey, type RedactionRules } from './redactor.ts';

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

const MIDNIGHT = Date.UTC(2026, 1, 1);
const KEYS = ['2026-01-31', '2026-02-01'].map((period, i) => ({
  period,
  key: Buffer.alloc(32, i),
}));

test('the mesh’s key of the day on which a call began makes the same hashes in every sidecar', () => {
  const at = (startedAt: number, own: string, meshKeys: readonly MeshKey[] = KEYS) => {
    const redactor = createRedactor(Buffer.from(own), { paths: [], hashed: ['email'] });
    redactor.meshKeys = meshKeys;
    const call = { ...createRecordedCall({ json: '' }), startedAt, path: '/u/a@b.org' };
    redactor.redact(call);
    return `${call.redactionKey} ${call.path}`;
  };
  const last = at(MIDNIGHT - 1, 'caller');
  assert.match(last, /^2026-01-31 \/u\/\[redacted:email:[\w-]{12}\]$/);
  assert.equal(at(MIDNIGHT - 1, 'server'), last);
  const next = at(MIDNIGHT, 'caller');
  assert.match(next, /^2026-02-01 /);
  assert.notEqual(next.slice(11), last.slice(11));
  assert.equal(at(MIDNIGHT - 86_400_000 * 3, 'caller').slice(0, 10), '2026-01-31', 'a long call');
  // The authority was away all day: nobody else has this key, and the text says so too.
  const own = at(MIDNIGHT + 86_400_000, 'caller');
  assert.match(own, /^own \/u\/\[redacted:email:own\.[\w-]{12}\]$/);
  assert.notEqual(at(MIDNIGHT + 86_400_000, 'server'), own);
  assert.match(at(MIDNIGHT, 'caller', []), /^own .*own\./);
});

test('a call without a hash names no key', () => {
  const call = { ...createRecordedCall({ json: '' }), path: '/u/a@b.org' };
  createRedactor(Buffer.from('k')).redact(call);
  assert.deepEqual([call.path, call.redactionKey], ['/u/[redacted:email]', undefined]);
});

test('keyed hashes join like with like, and say nothing without the key', () => {
  const rules = { paths: [RESET], hashed: ['email', 'code'] };
  const pathOf = (path: string, key?: string) => redact({ path }, rules, key).path;
  assert.match(pathOf('/u/a@b.org') ?? '', /^\/u\/\[redacted:email:own\.[\w-]{12}\]$/);
  assert.equal(pathOf('/u/a@b.org'), pathOf('/u/a@b.org'));
  assert.notEqual(pathOf('/u/a@b.org'), pathOf('/u/c@b.org'));
  assert.notEqual(pathOf('/u/a@b.org'), pathOf('/u/a@b.org', 'another'));
  assert.match(pathOf('/reset/12') ?? '', /^\/reset\/\[redacted:code:own\.[\w-]{12}\]$/);
});

test('a secret at the end of a path that is cut is recognized before', () => {
  const path = `/${'a/'.repeat(500)}alice@example.org`;
  assert.doesNotMatch(redact({ path }).path ?? '', /alice/);
});
