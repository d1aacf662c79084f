import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { commitOf, storeContract } from './store-contract.ts';
import { createMemoryStore } from './store-memory.ts';
import { openStore } from './store-sqlite.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-store-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const freshPath = (): string => join(folder, `control-${++files}.db`);

storeContract('sqlite', () => openStore(freshPath()));
storeContract('memory', createMemoryStore);

test('what was stored is there after reopening, in a file only its owner reads', () => {
  const path = freshPath();
  const store = openStore(path);
  assert.ok(store.append(commitOf('default', 1, null), []).ok);
  store.close();
  const again = openStore(path);
  assert.equal(again.heads()[0]?.number, 1);
  again.close();
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a full disk refuses the commit, stores nothing of it, and later ones work', () => {
  const path = freshPath();
  const store = openStore(path);
  assert.ok(store.append(commitOf('default', 1, null), []).ok);
  const pages = new DatabaseSync(path);
  const { page_count: count } = pages.prepare('PRAGMA page_count').get() as { page_count: number };
  pages.close();
  const full = openStore(path, { maxPages: count });
  const big = [
    { key: 'Service/a', resource: 'x'.repeat(200_000), source: null, change: 'added' } as const,
  ];
  const refused = full.append(commitOf('default', 2, 'hash-default-1'), big);
  assert.equal(refused.ok ? 'stored' : refused.error.code, 'storage_failed');
  assert.equal(full.heads()[0]?.number, 1);
  assert.deepEqual(full.resourcesAt('default', 2), []);
  full.close();
  assert.ok(store.append(commitOf('default', 2, 'hash-default-1'), big).ok);
  store.close();
});

test('a file that is no database, and a schema from the future, are named', () => {
  const garbage = freshPath();
  writeFileSync(garbage, 'not a database, surely not a database at all'.repeat(40));
  assert.throws(() => openStore(garbage), /cannot open the database/);
  const future = freshPath();
  const db = new DatabaseSync(future);
  db.exec('PRAGMA user_version = 999');
  db.close();
  chmodSync(future, 0o600);
  assert.throws(() => openStore(future), /schema version 999 is newer/);
});
