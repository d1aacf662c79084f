import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, type LogLevel } from './log.ts';

function open(level?: LogLevel) {
  const lines: string[] = [];
  let now = 0;
  const log = createLog({
    name: 'test',
    ...(level && { level }),
    destination: { write: (line) => void lines.push(line) },
    clock: () => now,
  });
  return {
    log,
    parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    pass: (ms: number) => {
      now += ms;
    },
  };
}

test('a line holds time, level, name, event and fields, those of parents too', () => {
  const { log, parsed } = open();
  log.child({ namespace: 'shop' }).info('policy enforced', { number: 3n });
  const [line] = parsed();
  assert.match(String(line?.['time']), /^\d{4}-\d\d-\d\dT/);
  assert.equal(line?.['level'], 'info');
  assert.equal(line?.['name'], 'test');
  assert.equal(line?.['msg'], 'policy enforced');
  assert.equal(line?.['namespace'], 'shop');
  assert.equal(line?.['number'], '3');
});

test('levels below the chosen one are left out', () => {
  const { log, parsed } = open('warn');
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  assert.deepEqual(
    parsed().map((line) => line['msg']),
    ['c', 'd'],
  );
});

test('an error is its message and its causes', () => {
  const { log, parsed } = open();
  const cause = new Error('connection refused');
  log.warn('failed', { error: new Error('the store is gone', { cause }) });
  assert.equal(parsed()[0]?.['error'], 'the store is gone: connection refused');
});

test('fields that could hold secrets are redacted', () => {
  const { log, parsed } = open();
  const secrets = { joinToken: 'a', privateKeyPem: 'b', Authorization: 'c', cookie: 'd' };
  log.child({ password: 'e' }).error('failed', secrets);
  const [line] = parsed();
  for (const key of [...Object.keys(secrets), 'password']) assert.equal(line?.[key], '[redacted]');
});

test('attack: a flood of the same warning is bounded, counted, and others still pass', () => {
  const { log, parsed, pass } = open();
  for (let i = 0; i < 1000; i++) log.warn('garbage on a port');
  log.warn('something else');
  assert.equal(parsed().length, 21);
  pass(10_000);
  log.warn('garbage on a port');
  assert.equal(parsed().at(-1)?.['suppressed'], 980);
});

test('secrets in what a field quotes are taken out, however deep', () => {
  const { log, parsed } = open();
  const cause = new Error('GET https://bob:hunter2@keys.example/jwks?sig=abc was refused');
  log.warn('failed', {
    error: new Error('the keys are gone', { cause }),
    request: { path: '/u/alice@example.org', headers: [{ authorization: 'x' }] },
  });
  const text = JSON.stringify(parsed());
  for (const secret of ['hunter2', 'sig=abc', 'alice', '"x"']) assert.ok(!text.includes(secret));
  assert.match(text, /the keys are gone: GET https:\/\/\[redacted:userinfo\]@keys\.example/);
});

test('attack: line breaks, escape sequences and bidirectional marks stay one harmless line', () => {
  const lines: string[] = [];
  const log = createLog({ name: 'test', destination: { write: (line) => void lines.push(line) } });
  const forged = '\n{"level":"info","msg":"all is well"}\r\u001b[2J\u009b2J\u2028\u202e';
  log.warn('failed', { error: new Error(forged), name: forged });
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /^[ -~]+\n$/);
});
