import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Frontier, leafOfHash } from '#audit';
import {
  createPolicyKey,
  hashOfLogEntry as hashOf,
  type LogEntry,
  type LogFields,
  loadSigner,
  verifyIssuanceLog,
} from '#trust';
import { openDatabase } from './database.ts';
import { openIssuanceLog, signLogHead } from './issuance-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-log-'));
const path = join(folder, 'ca.db');
const database = openDatabase(path);
const log = openIssuanceLog(database);
const key = createPolicyKey();
const loaded = loadSigner(key.privateKeyPem);
assert.ok(loaded.ok);
const signer = loaded.value;

after(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

for (let i = 0; i < 6; i++) await log.append(fields(`0${i}`));
const entries = log.read(0, 100);
const head = log.head();

test('an honest log verifies, whole and from where one stopped', () => {
  assert.deepEqual(verified(entries), { number: 6, hash: head.hash });
  const [first] = entries;
  assert.ok(first);
  assert.deepEqual(verified(entries.slice(1), { after: first }), { number: 6, hash: head.hash });
  assert.deepEqual(verified([], { after: head }), { number: 6, hash: head.hash });
});

test('an edited entry shows, in each of its fields', () => {
  for (const field of Object.keys(entries[2] ?? {}) as (keyof LogEntry)[]) {
    const edited = entries.map((entry, i) => (i === 2 ? { ...entry, [field]: 'x' } : entry));
    assert.equal(problemAt(edited), 3, field);
  }
});

test('an entry edited with its hash made anew shows at the next', () => {
  const entry = entries[2];
  assert.ok(entry);
  const { hash: _, ...body } = { ...entry, spiffeId: 'spiffe://example.org/ns/evil/sa/x' };
  const forged = entries.map((old, i) => (i === 2 ? { ...body, hash: hashOf(body) } : old));
  assert.equal(problemAt(forged), 4);
});

test('dropped, moved, doubled and foreign entries show', () => {
  assert.equal(problemAt(entries.toSpliced(2, 1)), 3);
  assert.equal(problemAt(entries.toSpliced(0, 1)), 1);
  assert.equal(problemAt([...entries.slice(0, 2), ...entries.slice(2).reverse()]), 3);
  assert.equal(problemAt(entries.toSpliced(2, 0, entries[2] as LogEntry)), 4);
  for (const garbage of [null, {}, 'x', { number: 3 }]) {
    assert.equal(problemAt(entries.with(2, garbage as LogEntry)), 3);
  }
});

test('a log cut short shows against the head that the authority signed', () => {
  const options = { trustDomain: 'example.org', nowMs: 0, signer };
  const signedHead = {
    envelope: signLogHead({ ...head, root: log.root() }, options),
    logKey: key.publicKey,
  };
  assert.equal(verified(entries, { signedHead }).number, 6);
  assert.equal(problemAt(entries.slice(0, 5), { signedHead }), 6);
  const other = { envelope: signedHead.envelope, logKey: createPolicyKey().publicKey };
  assert.equal(problemAt(entries, { signedHead: other }), 6);
  const forked = {
    envelope: signLogHead({ ...head, hash: 'f'.repeat(64), root: log.root() }, options),
    logKey: key.publicKey,
  };
  assert.equal(problemAt(entries, { signedHead: forked }), 6);
});

test('requests of one turn are logged together, or none of them', async () => {
  const before = log.head().number;
  const together = ['a0', 'a1', 'a0'].map((serial) => log.append(fields(serial)));
  const outcomes = await Promise.allSettled(together);
  // The same serial twice fails the transaction; no certificate of that turn may leave, and none is in the log.
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  assert.equal(log.head().number, before);
  await log.append(fields('a0'));
  assert.equal(verified(log.read(0, 100)).number, before + 1);
});

test('a crash between signing and the end of the transaction leaves nothing behind', () => {
  const before = log.head();
  const crashing = openDatabase(path);
  crashing.exec('BEGIN IMMEDIATE');
  crashing
    .prepare('INSERT INTO issuance (number, hash, serial, entry) VALUES (?, ?, ?, ?)')
    .run(before.number + 1, 'x', 'y', '{}');
  // Closing without a commit is what the kernel does for a killed process.
  crashing.close();
  assert.deepEqual(log.head(), before);
  assert.equal(log.appendNow(fields('b0')).previousHash, before.hash);
});

test('two authorities on one folder write one chain', async () => {
  const second = openDatabase(path);
  const twin = openIssuanceLog(second);
  for (let i = 0; i < 5; i++) {
    await log.append(fields(`c${i}`));
    await twin.append(fields(`d${i}`));
  }
  second.close();
  assert.equal(verified(log.read(0, 100)).number, log.head().number);
});

test('a database of a later version is not touched', () => {
  const later = join(folder, 'later.db');
  const made = openDatabase(later);
  made.exec('PRAGMA user_version = 99');
  made.close();
  assert.throws(() => openDatabase(later), /later version/);
});

function fields(serial: string): LogFields {
  return {
    timeMs: 1000,
    spiffeId: 'spiffe://example.org/ns/shop/sa/web',
    serial,
    expiresAtMs: 2000,
    selectors: ['unix:uid:1000'],
    requestedBy: 'spiffe://example.org/palisade/agent/host',
    allowedBy: 'shop@1',
    certificateSha256: 'ab',
  };
}

function verified(list: readonly LogEntry[], against = {}) {
  const result = verifyIssuanceLog(list, against);
  assert.ok(result.ok, result.ok ? '' : result.error.message);
  return result.value;
}

function problemAt(list: readonly LogEntry[], against = {}): number | undefined {
  const result = verifyIssuanceLog(list, against);
  return result.ok ? undefined : result.error.number;
}

test('the root is over all entries, goes on over restarts, and catches up with what an earlier version logged', async () => {
  const rootOver = (all: readonly LogEntry[]): string => {
    const tree = new Frontier();
    for (const entry of all) tree.push(leafOfHash(entry.hash));
    return tree.root();
  };
  assert.equal(log.root(), rootOver(log.read(0, 100)));
  await Promise.all([log.append(fields('a1')), log.append(fields('a2'))]);
  assert.equal(log.root(), rootOver(log.read(0, 100)));
  assert.equal(openIssuanceLog(database).root(), log.root());
  database.exec('DELETE FROM issuance_tree');
  assert.equal(openIssuanceLog(database).root(), rootOver(log.read(0, 100)));
  await log.append(fields('a3'));
  assert.equal(log.root(), rootOver(log.read(0, 100)));
  // The tree is kept now and then only; whoever opens the log in between finds the same root.
  for (let i = 0; i < 3; i++) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => log.append(fields(`e${i}-${j}`))));
    assert.equal(openIssuanceLog(database).root(), rootOver(log.read(0, 1000)));
  }
  const kept = database.prepare('SELECT size FROM issuance_tree').get()?.['size'];
  assert.ok(Number(kept) > log.head().number - 256, String(kept));
});

test('what another process logs is continued, within its transaction and after', () => {
  const other = openDatabase(path);
  const theirs = openIssuanceLog(other);
  const before = log.head().number;
  theirs.appendNow(fields('f0'));
  assert.equal(log.head().number, before + 1);
  assert.equal(log.appendNow(fields('f1')).number, before + 2);
  theirs.appendNow(fields('f2'));
  assert.equal(log.root(), theirs.root());
  // What was rolled back is forgotten.
  assert.throws(() => log.appendNow(fields('f2')));
  assert.equal(log.root(), theirs.root());
  assert.equal(log.appendNow(fields('f3')).number, before + 4);
  other.close();
  assert.equal(verified(log.read(0, 1000)).number, before + 4);
});
