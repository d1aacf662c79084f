import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from './fixtures.ts';
import { type Stretch, searchWindows } from './postgres-search.ts';
import type { PageQuery, StoredRecord } from './record-store.ts';

const PART = 2 ** 32;
const STRETCHES: readonly Stretch[] = [
  { fromId: 1, untilId: 3_000 },
  { fromId: PART, untilId: PART + 2_000_000 },
  { fromId: 3 * PART, untilId: 3 * PART + 10 },
];

/** A database with records at some ids, which takes some time for a window's ids; it gives up beyond 150 ms. */
function fakeDatabase(ids: readonly number[], msOf: (idCount: number) => number) {
  let nowMs = 0;
  const windows: Stretch[] = [];
  const countOf = ({ fromId, untilId }: Stretch): number =>
    STRETCHES.reduce((sum, one) => {
      return sum + Math.max(0, Math.min(untilId, one.untilId) - Math.max(fromId, one.fromId));
    }, 0);
  return {
    windows,
    countOf,
    elapsed: () => nowMs,
    page: (page: PageQuery) =>
      searchWindows(STRETCHES, page, {
        clock: () => nowMs,
        async ask(window, limit) {
          windows.push(window);
          const ms = msOf(countOf(window));
          nowMs += Math.min(ms, 150);
          if (ms > 150) return undefined;
          const found = ids.filter((id) => id >= window.fromId && id < window.untilId);
          if (page.ascending !== true) found.reverse();
          return found.slice(0, limit).map(recordAt);
        },
      }),
  };
}

function recordAt(id: number): StoredRecord {
  return { ...recordOf(1), node: 'n', 'record.id': String(id) };
}

const IDS = [1, 2, 2_999, PART, PART + 1_234_567, PART + 1_999_999, 3 * PART, 3 * PART + 9];

test('every record is found once, in either direction, however slow the database is', async () => {
  for (const ascending of [true, false]) {
    for (const msEach of [0, 0.000_01, 0.001, 0.05, 0.5]) {
      for (const limit of [1, 3, 100]) {
        const { page } = fakeDatabase(IDS, (count) => count * msEach);
        const seen: number[] = [];
        let cursor: number | undefined;
        let pages = 0;
        do {
          const answer = await page({ limit, ascending, cursor });
          seen.push(...answer.records.map((record) => Number(record['record.id'])));
          assert.ok(answer.next === undefined || answer.next !== cursor);
          cursor = answer.next;
        } while (cursor !== undefined && ++pages < 20_000);
        const wanted = ascending ? IDS : IDS.toReversed();
        assert.deepEqual(seen, wanted, `${ascending} ${msEach} ${limit}`);
      }
    }
  }
});

test('what an index answers takes a few windows, over all parts', async () => {
  const { page, windows } = fakeDatabase([1], () => 0.5);
  const { records, next } = await page({ limit: 100 });
  assert.deepEqual([records.length, next], [1, undefined]);
  assert.ok(windows.length <= 5, String(windows.length));
});

test('what must read every row ends in time, and the next page goes on behind it', async () => {
  const { page, windows, elapsed, countOf } = fakeDatabase([1], (count) => count / 100);
  const { records, next } = await page({ limit: 100 });
  assert.deepEqual(records, []);
  assert.ok(elapsed() <= 200, String(elapsed()));
  assert.equal(next, windows.at(-1)?.fromId);
  const read = windows.reduce((sum, window) => sum + countOf(window), 0);
  assert.ok(read >= 8_000, String(read));
});

test('a window that the database gives up is asked in smaller ones, and never all day', async () => {
  const patient = fakeDatabase([1], (count) => (count > 1_000 ? 1_000 : 1));
  assert.notEqual((await patient.page({ limit: 100 })).next, undefined);
  const dead = fakeDatabase([1], () => 1_000);
  await assert.rejects(dead.page({ limit: 100 }), /took too long/);
  assert.ok(dead.windows.length <= 4, String(dead.windows.length));
});

test('a page that is full ends at its last record, and asks for no more than is missing', async () => {
  const { page, windows } = fakeDatabase(IDS, () => 0.1);
  assert.equal((await page({ limit: 2 })).next, 3 * PART);
  assert.equal(windows.length, 1);
  assert.equal((await page({ limit: 2, cursor: 3 * PART })).next, PART + 1_234_567);
  assert.deepEqual(await page({ limit: 2, cursor: 1 }), { records: [], next: undefined });
});
