import assert from 'node:assert/strict';
import { added, type Case } from './contract-case.ts';
import { HOUR_MS } from './coverage.ts';
import { denied, NOW, recordOf, reportOf } from './fixtures.ts';
import type { RollupQuery } from './rollups.ts';

/** What is answered of sums over time. */
export const SUM_CASES: readonly Case[] = [
  [
    'rollups add up what happened, with weights, by edge, service and in all',
    async (store) => {
      const over = (seq: number) => ({ time: new Date(NOW + seq * 1_000).toISOString() });
      await added(
        store,
        reportOf([
          recordOf(1, { ...over(1), duration_us: 100 }),
          recordOf(2, { ...over(2), weight: 9, duration_us: 100 }),
          recordOf(3, { ...over(3), ...denied('d'), 'source.service': 'batch' }),
          recordOf(4, { ...over(61), status: 503, duration_us: 50_000 }),
        ]),
      );
      const range = { fromMs: NOW, untilMs: NOW + HOUR_MS, stepMs: 60_000 };
      const metrics = ['requests', 'denied', 'errors', 'p95_us'] as const;
      const total = async () => (await store.rollups({ ...range, group: 'total', metrics })).series;
      const seen = await total();
      assert.deepEqual(
        seen[0]?.points.map((point) => point.slice(0, 4)),
        [
          [NOW, 11, 1, 0],
          [NOW + 60_000, 1, 0, 1],
        ],
      );
      const p95 = Number(seen[0]?.points[0]?.[4]);
      assert.ok(p95 >= 64 && p95 <= 1_024, String(p95));
      const edges = await store.rollups({ ...range, group: 'edge', metrics: ['requests'] });
      assert.deepEqual(
        edges.series.map(({ key, points }) => [key['source'], key['destination'], points.length]),
        [
          ['default/web', 'default/orders', 2],
          ['default/batch', 'default/orders', 1],
        ],
      );
      // Added up to minutes and hours, nothing is lost.
      await store.prune(NOW + 30 * HOUR_MS);
      const hourly = await store.rollups({ ...range, stepMs: HOUR_MS, group: 'total', metrics });
      assert.deepEqual(hourly.series[0]?.points[0]?.slice(0, 4), [NOW, 12, 1, 1]);
      assert.deepEqual(
        (await store.rollups({ ...range, fromMs: 0, untilMs: 1, group: 'total', metrics })).series,
        [],
      );
    },
  ],

  [
    'sums by any step and of any time are those of the records, early, late or long ago',
    async (store) => {
      const calls: { ms: number; weight: number }[] = [];
      const send = async (times: readonly number[], nowMs: number): Promise<void> => {
        const records = times.map((ms, at) => {
          const seq = calls.length + at + 1;
          return recordOf(seq, { time: new Date(ms).toISOString(), weight: 1 + (seq % 3) });
        });
        calls.push(...records.map(({ weight = 1 }, at) => ({ ms: times[at] ?? 0, weight })));
        await added(store, reportOf(records), nowMs);
      };
      const check = async (range: Omit<RollupQuery, 'group' | 'metrics'>): Promise<void> => {
        const { stepMs, fromMs, untilMs } = range;
        const expected = new Map<number, number>();
        for (const { ms, weight } of calls.toSorted((a, b) => a.ms - b.ms)) {
          if (ms < fromMs || ms >= untilMs) continue;
          const at = Math.floor(ms / stepMs) * stepMs;
          expected.set(at, (expected.get(at) ?? 0) + weight);
        }
        for (const group of ['total', 'service', 'edge'] as const) {
          const { series } = await store.rollups({ ...range, group, metrics: ['requests'] });
          assert.deepEqual(series[0]?.points ?? [], [...expected], JSON.stringify(range));
        }
      };
      const minute = (minutes: number): number => NOW + minutes * 60_000;
      const steps = [1_000, 60_000, 300_000, 900_000, HOUR_MS];
      await send([NOW, NOW + 999, minute(4), minute(61) + 1_000, minute(121)], minute(122));
      await send([minute(4) + 59_000, minute(60)], minute(122));
      for (const stepMs of steps) {
        await check({ stepMs, fromMs: NOW, untilMs: NOW + 3 * HOUR_MS });
        await check({ stepMs, fromMs: NOW + 1_000, untilMs: minute(61) + 2_000 });
        await check({ stepMs, fromMs: minute(4), untilMs: minute(121) });
      }
      // Seconds are gone, then minutes; what comes late is added to what there still is.
      await store.prune(minute(130));
      await send([minute(4) + 30_000, minute(128)], minute(131));
      for (const stepMs of steps.slice(1)) {
        await check({ stepMs, fromMs: minute(1), untilMs: NOW + 3 * HOUR_MS });
      }
      await store.prune(NOW + 40 * HOUR_MS);
      await send([minute(7)], NOW + 40 * HOUR_MS);
      for (const stepMs of steps.slice(2)) {
        await check({ stepMs, fromMs: minute(5), untilMs: NOW + 3 * HOUR_MS });
      }
      await store.prune(NOW + 2 * HOUR_MS);
      await send([minute(8), minute(200)], minute(200));
      await check({ stepMs: HOUR_MS, fromMs: NOW, untilMs: NOW + 4 * HOUR_MS });
      // A clock that was ahead costs what it made go, and nothing that comes afterwards.
      await check({ stepMs: 60_000, fromMs: minute(180), untilMs: minute(201) });
    },
  ],
];
