import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createConsoleSessions } from './console-sessions.ts';
import { createSessionFile } from './session-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-sessions-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

const MINUTE_MS = 60_000;

function sessions(path = join(folder, `sessions-${++files}.json`)) {
  let now = 1_000_000;
  const errors: unknown[] = [];
  const store = createSessionFile(path, (error) => errors.push(error));
  const made = createConsoleSessions(() => now, store);
  const pass = (ms: number): void => {
    now += ms;
  };
  return { ...made, pass, path, errors };
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

test('a restart signs nobody out, and the file holds no secret', () => {
  const before = sessions();
  const session = before.signIn(before.createLink().token);
  assert.ok(session);
  const kept = sessions(before.path);
  assert.ok(kept.check(session.secret));
  assert.equal(statSync(before.path).mode & 0o777, 0o600);
  assert.ok(!readFileSync(before.path, 'utf8').includes(session.secret));
  kept.signOut(session.secret);
  assert.equal(sessions(before.path).check(session.secret), undefined);
});

test('a damaged file of sessions, or a folder that takes none, costs a sign-in only', () => {
  const path = join(folder, 'damaged.json');
  writeFileSync(path, '[["short", 1]]');
  const damaged = sessions(path);
  assert.equal(damaged.errors.length, 1);
  assert.ok(damaged.signIn(damaged.createLink().token));
  const nowhere = sessions(join(folder, 'none', 'sessions.json'));
  assert.ok(nowhere.signIn(nowhere.createLink().token));
  assert.equal(nowhere.errors.length, 1);
});
