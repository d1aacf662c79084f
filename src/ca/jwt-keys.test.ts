import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createSilentLog } from '#telemetry';
import { createPolicyKey, loadSigner, openJwtKeys as openDocument, type TrustRoot } from '#trust';
import { type JwtKeys, openJwtKeys } from './jwt-keys.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 4, 1);
const folder = mkdtempSync(join(tmpdir(), 'palisade-jwt-keys-'));
const logKey = createPolicyKey();
const logSigner = loadSigner(logKey.privateKeyPem);
assert.ok(logSigner.ok);
const signer = logSigner.value;
const trustRoot = { trustDomain: 'example.org', issuanceLogKey: logKey.publicKey } as TrustRoot;
after(() => rmSync(folder, { recursive: true }));

let files = 0;
function start(path = join(folder, `${++files}.json`)) {
  const clock = { nowMs: START_MS };
  const options = {
    path,
    trustDomain: 'example.org',
    logSigner: signer,
    clock: () => clock.nowMs,
    log: createSilentLog(),
  };
  return { clock, path, keys: openJwtKeys(options), again: () => openJwtKeys(options) };
}

function published(keys: JwtKeys): string[] {
  const document = openDocument(keys.envelope(), trustRoot);
  assert.ok(document.ok);
  return document.value.keys.map(({ kid }) => kid);
}

test('a restart keeps the keys, in a file for the authority alone', () => {
  const { keys, again, path } = start();
  const { kid } = keys.current().key;
  assert.deepEqual(published(keys), [kid]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const later = again();
  assert.equal(later.current().key.kid, kid);
  assert.equal(later.sequence(), keys.sequence());
});

test('a key is published half a day before it signs, and as long as its tokens may live', () => {
  const { keys, clock } = start();
  const at = (hours: number) => {
    clock.nowMs = START_MS + hours * HOUR_MS;
    return keys.current();
  };
  const first = at(0).key.kid;
  assert.deepEqual(published(keys), [first]);
  assert.equal(at(11).key.kid, first);
  assert.deepEqual(published(keys), [first]);
  assert.equal(at(12).key.kid, first);
  const [, second] = published(keys);
  assert.notEqual(second, undefined);
  assert.equal(at(23.9).key.kid, first);
  assert.equal(at(24).key.kid, second);
  at(48.9);
  assert.ok(
    published(keys).includes(first),
    'the last token of the first key is of 24 h and lives 24 h',
  );
  at(49.1);
  assert.ok(!published(keys).includes(first));
});

test('the sequence grows with each change, also after a long sleep and from a restored backup', () => {
  const { keys, clock } = start();
  const seen = [keys.sequence()];
  for (const hours of [12, 36, 1000]) {
    clock.nowMs = START_MS + hours * HOUR_MS;
    keys.current();
    seen.push(keys.sequence());
  }
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(published(keys).length, 1, 'nothing of before the sleep is left');
  const restored = start();
  restored.clock.nowMs = clock.nowMs + HOUR_MS;
  restored.keys.retireMadeBefore(restored.clock.nowMs);
  assert.ok(restored.keys.sequence() > keys.sequence());
});

test('a clock that is set back finds a key to sign with', () => {
  const { keys, clock } = start();
  clock.nowMs -= HOUR_MS;
  assert.equal(keys.current().key.kid, published(keys)[0]);
});

test('keys of before an instant are gone at once, those of after it stay, over restarts too', () => {
  const { keys, clock } = start();
  const first = keys.current().key.kid;
  clock.nowMs += HOUR_MS;
  const instant = clock.nowMs;
  assert.ok(keys.retireMadeBefore(instant));
  const second = keys.current().key.kid;
  assert.notEqual(second, first);
  assert.deepEqual(published(keys), [second]);
  clock.nowMs += HOUR_MS;
  assert.equal(keys.retireMadeBefore(instant), false);
  // An instant that has not come does not take the key with which it is answered.
  assert.ok(keys.retireMadeBefore(clock.nowMs + HOUR_MS));
  assert.equal(keys.retireMadeBefore(clock.nowMs), false);
});

test('a damaged file is named, and what is in it is not', () => {
  const path = join(folder, 'damaged.json');
  writeFileSync(path, '{"sequence":1,"keys":[{"pem":"SECRET","signsFrom":0,"signsUntil":1}]}');
  assert.throws(
    () => start(path),
    (error: Error) => error.message.includes(path) && !error.message.includes('SECRET'),
  );
});
