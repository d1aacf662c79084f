import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createConsoleSessions } from './console-sessions.ts';

const MINUTE_MS = 60_000;

function sessions() {
  let now = 1_000_000;
  const made = createConsoleSessions(() => now);
  const pass = (ms: number): void => {
    now += ms;
  };
  return { ...made, pass };
}

test('a link is good once and for ten minutes', () => {
  const { createLink, signIn, pass } = sessions();
  const [used, late] = [createLink().token, createLink().token];
  assert.ok(signIn(used));
  assert.equal(signIn(used), undefined);
  pass(10 * MINUTE_MS);
  assert.equal(signIn(late), undefined);
});

test('a session ends after twelve hours, or when its person leaves', () => {
  const { createLink, signIn, check, signOut, pass } = sessions();
  const [one, two] = [signIn(createLink().token), signIn(createLink().token)];
  assert.ok(one && two);
  assert.equal(Buffer.from(one.secret, 'base64url').length, 32);
  signOut(two.secret);
  assert.deepEqual([check(one.secret) !== undefined, check(two.secret)], [true, undefined]);
  pass(12 * 60 * MINUTE_MS);
  assert.equal(check(one.secret), undefined);
});

test('links without end push out the oldest', () => {
  const { createLink, signIn } = sessions();
  const first = createLink().token;
  const rest = Array.from({ length: 100 }, () => createLink().token);
  assert.equal(signIn(first), undefined);
  assert.ok(signIn(rest.at(-1) ?? ''));
});
