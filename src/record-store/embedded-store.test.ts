import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { packLines } from '#telemetry';
import { type EmbeddedStore, openEmbeddedStore } from './embedded-store.ts';
import { batch, NODE, NOW, recordOf, reportOf } from './fixtures.ts';
import { openImport } from './import-records.ts';
import type { RecordBounds, Report } from './record-store.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-files-'));
after(() => rmSync(root, { recursive: true }));
let folders = 0;

const DAY_MS = 86_400_000;
const BOUNDS: RecordBounds = { maxBytes: 1024 ** 3, maxAgeMs: 7 * DAY_MS };

function newFolder(): string {
  const folder = join(root, `${++folders}`);
  mkdirSync(folder);
  return folder;
}

function open(folder: string, bounds = BOUNDS): EmbeddedStore {
  return openEmbeddedStore({ folder, bounds, clock: () => 0 });
}

function add(store: EmbeddedStore, report: Report, nowMs = NOW): number {
  const added = store.add([report], nowMs);
  if (!added.ok) assert.fail(added.error);
  return added.value.stored;
}

function seqs(store: EmbeddedStore): readonly number[] {
  return store.reads.list({}, { limit: 100_000, ascending: true }).records.map(({ seq }) => seq);
}

function upTo(last: number): readonly number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}

function files(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.db'));
}

test('small blocks are joined, and nothing is lost, moved or counted twice', () => {
  const folder = newFolder();
  const store = open(folder);
  for (let at = 1; at <= 600; at += 2) {
    add(store, batch(at, at + 1));
    store.tidy();
  }
  assert.deepEqual(seqs(store), upTo(600));
  assert.equal(store.state().records, 600);
  const before = store.reads.list({}, { limit: 600 }).records;
  store.close();
  const [name = ''] = files(folder);
  const db = new DatabaseSync(join(folder, name));
  const { blocks } = db.prepare('SELECT count(*) AS blocks FROM blocks').get() as {
    blocks: number;
  };
  db.close();
  assert.ok(blocks < 60, `${blocks} blocks`);
  const again = open(folder);
  assert.deepEqual(again.reads.list({}, { limit: 600 }).records, before);
  // What came before the restart is known after it.
  assert.equal(add(again, batch(590, 601)), 1);
  again.close();
});

test('a record takes at most 120 bytes on disk', () => {
  const folder = newFolder();
  const store = open(folder);
  let state = 1;
  const hex = (): string =>
    (state = (state * 48_271) % 2_147_483_647).toString(16).padStart(8, '0');
  const total = 16_384;
  for (let at = 1; at <= total; at += 1_024) {
    const over = () => ({
      trace_id: hex() + hex() + hex() + hex(),
      span_id: hex() + hex(),
      parent_span_id: hex() + hex(),
    });
    add(store, batch(at, at + 1_023, over), NOW + at);
    store.tidy();
  }
  store.close();
  const bytes = readdirSync(folder).reduce(
    (sum, name) => sum + statSync(join(folder, name)).size,
    0,
  );
  assert.ok(bytes / total <= 120, `${bytes / total} bytes`);
});

test('days have files of their own, and the oldest go with their age or for want of room', () => {
  const folder = newFolder();
  const store = open(folder);
  for (let day = 0; day < 9; day++) add(store, batch(day + 1, day + 1), NOW + day * DAY_MS);
  assert.equal(files(folder).length, 9);
  assert.deepEqual(store.prune(NOW + 8 * DAY_MS), { ok: true, value: 1 });
  assert.deepEqual(seqs(store), [2, 3, 4, 5, 6, 7, 8, 9]);
  store.close();
  const small = open(folder, { ...BOUNDS, maxBytes: 1 });
  assert.deepEqual(small.prune(NOW + 8 * DAY_MS), { ok: true, value: 7 });
  assert.deepEqual(seqs(small), [9]);
  small.close();
});

test('ids grow over days, full files, restarts and clocks that are set back', () => {
  const folder = newFolder();
  const ids: number[] = [];
  const times = [NOW, NOW + DAY_MS, NOW - 3 * DAY_MS, NOW + 5, NOW + 2 * DAY_MS];
  for (const [at, nowMs] of times.entries()) {
    const store = open(folder, { ...BOUNDS, maxBytes: at % 2 === 0 ? 1 : BOUNDS.maxBytes });
    add(store, batch(at + 1, at + 1), nowMs);
    ids.push(store.reads.newestId());
    store.close();
  }
  assert.deepEqual(
    ids,
    ids.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(ids).size, times.length);
  const store = open(folder);
  assert.deepEqual(seqs(store), [1, 2, 3, 4, 5]);
  assert.deepEqual(
    ids.map((id) => store.reads.byId(id)?.seq),
    [1, 2, 3, 4, 5],
  );
  store.close();
});

test('attack: a damaged file is set aside and named, the others are read and written on', () => {
  const folder = newFolder();
  const store = open(folder);
  add(store, batch(1, 10), NOW);
  add(store, batch(11, 20), NOW + DAY_MS);
  store.close();
  const [first = '', second = ''] = files(folder);
  writeFileSync(join(folder, second), 'no database at all '.repeat(1_000));
  const again = open(folder);
  assert.deepEqual(seqs(again), upTo(10));
  assert.equal(again.state().damaged.length, 1);
  assert.ok(again.state().damaged[0]?.name.startsWith(`${second.slice(0, 10)}.damaged-`));
  add(again, batch(21, 22), NOW + DAY_MS);
  assert.deepEqual(seqs(again), [...upTo(10), 21, 22]);
  again.close();
  assert.ok(files(folder).includes(first));
});

test('attack: bits that flip in a block cost that block, and it is named', () => {
  const folder = newFolder();
  const store = open(folder);
  for (let at = 1; at <= 30; at += 10) add(store, batch(at, at + 9));
  store.close();
  const [name = ''] = files(folder);
  const db = new DatabaseSync(join(folder, name));
  const { data } = db.prepare('SELECT data FROM parts WHERE id = 41').get() as { data: Uint8Array };
  const flipped = Uint8Array.from(data, (byte, at) =>
    at === data.length - 3 ? byte ^ 0x10 : byte,
  );
  db.prepare('UPDATE parts SET data = ? WHERE id = 41').run(flipped);
  db.close();
  const again = open(folder);
  assert.deepEqual(seqs(again), [...upTo(10), ...upTo(30).slice(20)]);
  assert.match(
    again.state().damaged[0]?.reason ?? '',
    /a block cannot be read: block 10 is damaged/,
  );
  // Joining leaves the damaged one alone, and what comes is stored.
  again.tidy();
  assert.equal(add(again, batch(31, 40)), 10);
  again.close();
});

test('attack: pages of SQLite that flip under way cost the file, not the store', () => {
  const folder = newFolder();
  const store = open(folder);
  add(store, batch(1, 10), NOW);
  add(store, batch(11, 2_000), NOW + DAY_MS);
  store.close();
  const [, second = ''] = files(folder);
  const bytes = readFileSync(join(folder, second));
  // All pages but the first, which makes it a database.
  bytes.fill(0xa5, 8_192);
  writeFileSync(join(folder, second), bytes);
  const again = open(folder);
  again.reads.list({}, { limit: 10 });
  assert.deepEqual(seqs(again), upTo(10));
  assert.ok(again.state().damaged.length > 0);
  assert.equal(add(again, batch(2_001, 2_010), NOW + DAY_MS), 10);
  again.close();
});

test('the records of version 0.1 are taken over once, whole, and their file goes', () => {
  const path = join(newFolder(), 'records.db');
  const old = new DatabaseSync(path);
  old.exec('CREATE TABLE records (id INTEGER PRIMARY KEY, node TEXT, json TEXT)');
  old.exec('BEGIN');
  const insert = old.prepare('INSERT INTO records (node, json) VALUES (?, ?)');
  for (let seq = 1; seq <= 2_500; seq++) {
    const node = seq % 3 === 0 ? 'default/web/1' : NODE;
    insert.run(node, JSON.stringify(recordOf(seq)));
  }
  old.exec('COMMIT');
  old.close();
  const store = open(newFolder());
  const first = openImport(path, store);
  // Cut off after a step, and begun again.
  assert.deepEqual(first?.step(NOW), { kind: 'more' });
  const second = openImport(path, store);
  const steps = [1, 2, 3].map(() => second?.step(NOW).kind);
  assert.deepEqual(steps, ['more', 'more', 'done']);
  assert.deepEqual(seqs(store), upTo(2_500));
  assert.equal(openImport(path, store), undefined);
  store.close();
});

test('a damaged file of version 0.1 is set aside', () => {
  const folder = newFolder();
  writeFileSync(join(folder, 'records.db'), 'no database at all '.repeat(100));
  const store = open(newFolder());
  assert.equal(openImport(join(folder, 'records.db'), store)?.step(NOW).kind, 'damaged');
  assert.match(files(folder).join(' ') || readdirSync(folder).join(' '), /records\.db\.damaged-/);
  store.close();
});

test('the newest start of a source is known after a restart, and so are its gaps', () => {
  const folder = newFolder();
  const store = open(folder);
  add(store, batch(1, 5));
  add(store, batch(11, 15), NOW + DAY_MS);
  store.close();
  const again = open(folder);
  const range = { fromMs: NOW - DAY_MS, untilMs: NOW + 2 * DAY_MS };
  const missing = again.reads.completeness(range).sources.map((hour) => hour.missing);
  assert.deepEqual(missing, [5]);
  assert.equal(add(again, reportOf([recordOf(7)]), NOW + DAY_MS), 1);
  assert.equal(again.reads.completeness(range).sources[0]?.missing, 4);
  again.close();
});

test('attack: a message that is nothing but line feeds costs neither memory nor much time', () => {
  const store = open(newFolder());
  const blocks = Array.from({ length: 70 }, () => packLines(Buffer.alloc(1024 * 1024, '\n')));
  const added = store.add([{ ...reportOf([]), blocks }], NOW);
  if (!added.ok) assert.fail(added.error);
  const { stored, refused, refusals } = added.value;
  assert.deepEqual([stored, refused, refusals.length], [0, 20_001, 10]);
  store.close();
});

test('attack: blocks that are none, or unpack to more than they may, are refused by themselves', () => {
  const store = open(newFolder());
  const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024, ' '));
  const good = reportOf([recordOf(1)]).blocks;
  const blocks = [Buffer.from('no block'), bomb, ...good];
  const added = store.add([{ ...reportOf([]), blocks }], NOW);
  if (!added.ok) assert.fail(added.error);
  assert.deepEqual([added.value.stored, added.value.refused], [1, 2]);
  assert.ok(bomb.length < 10_000);
  store.close();
});

test('records whose sums cannot be written are not stored either, and come whole when they come again', () => {
  const folder = newFolder();
  const store = open(folder);
  add(store, batch(1, 3));
  const [name = ''] = files(folder);
  const other = new DatabaseSync(join(folder, name));
  // The last thing of a record that is written: sums of hours come after those of seconds.
  other.exec(`CREATE TRIGGER full BEFORE INSERT ON rollups WHEN new.level = 3
    BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
  const requests = (stepMs: number): unknown =>
    store.reads.rollups({
      stepMs,
      fromMs: NOW,
      untilMs: NOW + 3_600_000,
      group: 'total',
      metrics: ['requests'],
    }).series[0]?.points[0]?.[1];
  const sums = (): readonly unknown[] => [1_000, 60_000, 300_000, 3_600_000].map(requests);
  assert.equal(store.add([batch(4, 9)], NOW).ok, false);
  assert.deepEqual([seqs(store), sums()], [upTo(3), [3, 3, 3, 3]]);
  other.exec('DROP TRIGGER full');
  other.close();
  assert.equal(add(store, batch(4, 9)), 6);
  assert.deepEqual([seqs(store), sums()], [upTo(9), [9, 9, 9, 9]]);
  store.close();
});

test('a file of the first schema is taken over with its sums', () => {
  const folder = newFolder();
  const store = open(folder);
  const times = [10, 70_000, 3_700_000, 7_300_000, 7_301_000];
  const over = (seq: number) => ({ time: new Date(NOW + (times[seq - 1] ?? 0)).toISOString() });
  add(store, batch(1, 5, over), NOW + 7_302_000);
  store.close();
  const [name = ''] = files(folder);
  const db = new DatabaseSync(join(folder, name));
  // As it was: the first hour's calls added up to an hour, the second's to minutes, the third's still by the second.
  db.exec(`DROP TABLE rollup_levels; PRAGMA user_version = 1;
    DELETE FROM rollups WHERE NOT (
      level = 3 AND time_ms < ${NOW + 3_600_000} OR level = 0 AND time_ms >= ${NOW + 7_200_000} OR
      level = 1 AND time_ms BETWEEN ${NOW + 3_600_000} AND ${NOW + 7_200_000 - 1});
    UPDATE rollups SET level = 2 WHERE level = 3;`);
  db.close();
  const again = open(folder);
  const points = (stepMs: number) =>
    again.reads
      .rollups({
        stepMs,
        fromMs: NOW,
        untilMs: NOW + 3 * 3_600_000,
        group: 'edge',
        metrics: ['requests'],
      })
      .series[0]?.points.map(([at, requests]) => [((at ?? 0) - NOW) / 1_000, requests]);
  assert.deepEqual(points(3_600_000), [
    [0, 2],
    [3_600, 1],
    [7_200, 2],
  ]);
  assert.deepEqual(points(60_000), [
    [0, 2],
    [3_660, 1],
    [7_260, 2],
  ]);
  assert.deepEqual(points(1_000), [
    [0, 2],
    [3_660, 1],
    [7_300, 1],
    [7_301, 1],
  ]);
  // What comes now is added to what there is of its time.
  add(
    again,
    batch(6, 6, () => over(1)),
  );
  assert.deepEqual(points(3_600_000)?.[0], [0, 3]);
  assert.deepEqual(points(60_000)?.[0], [0, 3]);
  again.close();
});
