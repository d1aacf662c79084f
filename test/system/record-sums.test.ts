// Records and their sums over time, with the process that stores them killed at random moments: PALISADE_CRASH_ROUNDS times,
// else six.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openThreadedStore, type RecordStore, type StoredRecord } from '#record-store';

const ROUNDS = Number(process.env['PALISADE_CRASH_ROUNDS'] ?? 6);
const CHILD = fileURLToPath(new URL('record-sums-child.ts', import.meta.url));
const BOUNDS = { maxBytes: 1024 ** 3, maxAgeMs: 30 * 86_400_000 };
const HOUR_MS = 3_600_000;

test('killed at random moments, a store’s sums are those of its records on every level', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-sums-'));
  try {
    let acknowledged = 0;
    for (let round = 0; round < ROUNDS; round++) {
      acknowledged = Math.max(acknowledged, await storeUntilKilled(folder, acknowledged + 1));
      const store = await openThreadedStore({ folder, bounds: BOUNDS, onLost: assert.fail });
      try {
        acknowledged = await checkSums(store, acknowledged);
      } finally {
        await store.close();
      }
    }
    assert.ok(acknowledged > 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** The number of the last record that the child said was stored. */
async function storeUntilKilled(folder: string, from: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, folder, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  await once(child.stdout, 'data');
  await delay(100 + 500 * Math.random());
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
  // What is after the last line feed is no whole number.
  const lines = printed.slice(0, printed.lastIndexOf('\n')).split('\n');
  return lines.length < 2 ? from - 1 : Number(lines.at(-1));
}

/** Holds the sums against the records; returns how many there are, which may be one batch more than were acknowledged. */
async function checkSums(store: RecordStore, acknowledged: number): Promise<number> {
  const records = await store.readAfter(0, Number.MAX_SAFE_INTEGER);
  assert.ok(records.length >= acknowledged, `${records.length} of ${acknowledged}`);
  const times = records.map(({ time }) => Date.parse(time));
  const newest = times.reduce((a, b) => Math.max(a, b), 0);
  const hour = Math.floor(newest / HOUR_MS) * HOUR_MS;
  // What each level surely has: seconds of the last minutes, minutes of a day, the rest for longer.
  for (const [stepMs, fromMs] of [
    [1_000, newest - 4 * 60_000],
    [60_000, hour - 24 * HOUR_MS],
    [300_000, hour - 72 * HOUR_MS],
    [HOUR_MS, 0],
  ] as const) {
    const range = { stepMs, fromMs, untilMs: newest + 1 };
    const { series } = await store.rollups({ ...range, group: 'edge', metrics: ['requests'] });
    const found = series.flatMap(({ key, points }) =>
      points.map(([at, requests]) => `${key['source']} ${at} ${requests}`),
    );
    assert.deepEqual(found.toSorted(), sumsOf(records, range).toSorted(), `steps of ${stepMs} ms`);
  }
  return records.length;
}

function sumsOf(
  records: readonly StoredRecord[],
  { stepMs, fromMs }: { stepMs: number; fromMs: number },
): readonly string[] {
  const sums = new Map<string, number>();
  for (const record of records) {
    const ms = Date.parse(record.time);
    // A second is the finest that sums know.
    if (Math.floor(ms / 1_000) * 1_000 < fromMs) continue;
    const key = `default/${record['source.service']} ${Math.floor(ms / stepMs) * stepMs}`;
    sums.set(key, (sums.get(key) ?? 0) + 1);
  }
  return Array.from(sums, ([key, count]) => `${key} ${count}`);
}
