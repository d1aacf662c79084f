import assert from 'node:assert/strict';
import { added, type Case, seqs, where } from './contract-case.ts';
import { HOUR_MS } from './coverage.ts';
import { type Condition, parseCondition } from './filter.ts';
import { accountOf, batch, denied, NODE, NOW, recordOf, reportOf } from './fixtures.ts';

const DAY_MS = 24 * HOUR_MS;

/** What is answered of what was stored. */
export const QUESTION_CASES: readonly Case[] = [
  [
    'pages hold every record once, in either direction',
    async (store) => {
      for (let from = 1; from <= 50; from += 10) await added(store, batch(from, from + 9));
      for (const ascending of [true, false]) {
        const seen: number[] = [];
        let cursor: number | undefined;
        do {
          const page = await store.list({}, { limit: 7, cursor, ascending });
          seen.push(...page.records.map(({ seq }) => seq));
          cursor = page.next;
        } while (cursor !== undefined);
        const all = Array.from({ length: 50 }, (_, at) => at + 1);
        assert.deepEqual(seen, ascending ? all : all.toReversed());
      }
      const [first] = await store.readAfter(0, 1);
      const rest = await store.readAfter(Number(first?.['record.id']), 100);
      assert.deepEqual([first?.seq, rest.length, rest[0]?.seq, rest.at(-1)?.seq], [1, 49, 2, 50]);
    },
  ],

  [
    'filters find by anything in the record',
    async (store) => {
      await added(
        store,
        reportOf([
          recordOf(1, { path: '/api/list', method: 'GET' }),
          recordOf(2, { path: '/api/list/all', method: 'POST', status: 500, duration_us: 9_000 }),
          recordOf(3, {
            path: '/apix',
            ...denied('d3'),
            'source.service': 'intruder',
            'source.id': null,
          }),
          recordOf(4, { path: '/other', trace_id: 'f'.repeat(32), weight: 20 }),
          recordOf(5, { path: '/other', kind: 'tcp', status: null, audit: 'default/Watch' }),
        ]),
      );
      const cases: readonly (readonly [string, string, readonly number[]])[] = [
        ['path', '/api/list', [1]],
        ['path', '/api/*', [1, 2]],
        ['path', '/api*', [1, 2, 3]],
        ['path', '~list', [1, 2]],
        ['path', '!/other', [1, 2, 3]],
        ['status', '500', [2]],
        ['status', '!200', [2, 3, 5]],
        ['status', 'null', [5]],
        ['status', '>=403', [2, 3]],
        ['status', '>=403.5', [2]],
        ['status', '<403.5', [1, 3, 4]],
        ['status', '>1e300', []],
        ['status', '0500', []],
        ['status', '418', []],
        ['duration_us', '>5000', [2]],
        ['duration_us', '9000', [2]],
        ['duration_us', '!9000', [1, 3, 4, 5]],
        ['path', '/api_*', []],
        ['path', '/api%*', []],
        ['duration_us', '<=901', [1]],
        ['verdict', 'deny', [3]],
        ['denial_id', 'd3', [3]],
        ['trace_id', 'f'.repeat(32), [4]],
        ['weight', '20', [4]],
        ['weight', 'null', [1, 2, 3, 5]],
        ['audit', '!null', [5]],
        ['node', NODE, [1, 2, 3, 4, 5]],
        ['source.id', 'null', [3]],
        ['never_there', 'x', []],
        ['method', '\\GET', [1, 3, 4, 5]],
      ];
      for (const [field, text, expected] of cases) {
        assert.deepEqual(await seqs(store, [where(field, text)]), expected, `${field}=${text}`);
      }
      const others: readonly (readonly [readonly Condition[], readonly number[]])[] = [
        [[{ kind: 'from', name: 'intruder' }], [3]],
        [[{ kind: 'from', name: 'default/web' }], [1, 2, 4, 5]],
        [[{ kind: 'from', name: 'shop/web' }], []],
        [[{ kind: 'from', name: 'spiffe://cluster.local/ns/default/sa/web' }], [1, 2, 4, 5]],
        [[{ kind: 'to', name: 'orders' }], [1, 2, 3, 4, 5]],
        [[{ kind: 'to', name: 'default/orders' }, where('status', '500')], [2]],
        [[{ kind: 'to', name: 'shop/orders' }], []],
        [[{ kind: 'text', text: 'WATCH' }], [5]],
        [[{ kind: 'text', text: 'list' }, where('method', 'POST')], [2]],
      ];
      for (const [conditions, expected] of others) {
        assert.deepEqual(await seqs(store, conditions), expected, JSON.stringify(conditions));
      }
    },
  ],

  [
    'attack: a filter that would be SQL is a value like any other',
    async (store) => {
      await added(store, batch(1, 1));
      const injected = "x' OR '1'='1";
      for (const condition of [
        { kind: 'from', name: injected },
        { kind: 'to', name: injected },
        { kind: 'text', text: injected },
        where('path', injected),
      ] as const) {
        assert.deepEqual(await seqs(store, [condition]), []);
      }
      assert.equal(parseCondition("path' OR 1=1 --", 'x').ok, false);
      assert.deepEqual(await seqs(store, []), [1]);
    },
  ],

  [
    'times: since and until are those of the calls, whenever they arrived',
    async (store) => {
      const at = (ms: number): string => new Date(NOW + ms).toISOString();
      await added(store, reportOf([recordOf(1, { time: at(-60_000) })]), NOW - 60_000);
      // Spooled while the control plane was away, and from a host whose clock is a minute ahead.
      await added(store, reportOf([recordOf(2, { time: at(-90_000) })]));
      await added(store, reportOf([recordOf(3, { time: at(60_000) })]));
      const since = async (ms: number): Promise<readonly number[]> =>
        (await store.list({ sinceMs: NOW + ms }, { limit: 10 })).records.map(({ seq }) => seq);
      assert.deepEqual(
        [await since(-100_000), await since(-70_000), await since(0), await since(HOUR_MS)],
        [[3, 2, 1], [3, 1], [3], []],
      );
      const { records } = await store.list({ untilMs: NOW - 60_000 }, { limit: 10 });
      assert.deepEqual(
        records.map(({ seq }) => seq),
        [2],
      );
    },
  ],

  [
    'denials that are alike are one group with a sample; the server’s word counts',
    async (store) => {
      const later = new Date(NOW + 5_000).toISOString();
      const result = await added(
        store,
        reportOf([
          recordOf(1, denied('d1')),
          recordOf(2, { ...denied('d2'), time: later, weight: 3 }),
          recordOf(3, {
            ...denied('d3'),
            'source.service': 'intruder',
            time: new Date(NOW).toISOString(),
          }),
          recordOf(4),
        ]),
      );
      assert.deepEqual(
        [result.denied, result.deniedEdges.map(({ denialId }) => denialId)],
        [3, ['d2', 'd3']],
      );
      const copy = {
        ...denied('d9'),
        verdict: 'allow',
        reporter: 'source',
        'source.service': 'web',
      };
      await added(store, reportOf([recordOf(1, copy)], { node: 'default/web/1' }));
      const groups = await store.denials(NOW - HOUR_MS, 10);
      assert.deepEqual(
        groups.map(({ sourceService, count }) => [sourceService, count]),
        [
          ['web', 4],
          ['intruder', 1],
        ],
      );
      assert.equal((await store.byId(groups[0]?.sampleId ?? 0))?.denial_id, 'd2');
      assert.equal(await store.countDenied(NOW - HOUR_MS), 5);
      assert.equal((await store.denial('d1'))?.seq, 1);
      assert.equal(await store.denial('d9'), undefined);
    },
  ],

  [
    'hits, trials and plaintext are counted by what they have alike',
    async (store) => {
      const trial = { dry_run: [{ policy: 'default/p', verdict: 'deny' }] };
      const plain = { 'tls.version': null, 'source.ip': '10.0.0.7' };
      await added(
        store,
        reportOf([
          recordOf(1, trial),
          recordOf(2, { ...trial, weight: 2 }),
          recordOf(3, plain),
          recordOf(4, plain),
        ]),
      );
      const hits = (await store.hits(0)).map(({ policy, rule, count }) =>
        [policy, rule, count].join(' '),
      );
      assert.deepEqual(hits, ['default/orders-callers 0 5']);
      const trials = (await store.trials(0, 10)).map(({ policy, would, count }) => [
        policy,
        would,
        count,
      ]);
      assert.deepEqual(trials, [['default/p', 'deny', 3]]);
      const plaintext = (await store.plaintext(0, 10)).map(({ sourceIp, port, count }) => [
        sourceIp,
        port,
        count,
      ]);
      assert.deepEqual(plaintext, [['10.0.0.7', 80, 2]]);
    },
  ],

  [
    'a trace is all its records, oldest first, whatever node sent them',
    async (store) => {
      const trace_id = 'ab'.repeat(16);
      const caller = {
        reporter: 'source',
        'source.service': 'web',
        trace_id,
        time: new Date(NOW).toISOString(),
      };
      await added(store, reportOf([recordOf(1), recordOf(7, { trace_id })]));
      await added(store, reportOf([recordOf(1, caller)], { node: 'default/web/1' }));
      const found = await store.trace(trace_id);
      assert.deepEqual(
        found.map(({ node }) => node),
        ['default/web/1', NODE],
      );
      assert.deepEqual(await store.trace('cd'.repeat(16)), []);
    },
  ],

  [
    'completeness: what was issued is accounted for, or missing by name',
    async (store) => {
      const records = [recordOf(1), recordOf(2)];
      await added(store, reportOf(records, { accounts: [accountOf(1, 10, { sampled: 8 })] }));
      const range = { fromMs: NOW, untilMs: NOW + HOUR_MS };
      assert.equal((await store.completeness(range)).ratio, 1);
      assert.deepEqual(await store.missing(range), []);
      await added(
        store,
        reportOf([], { accounts: [accountOf(21, 30, { dropped: { successes: 4 } })] }),
      );
      const { sources, ratio } = await store.completeness(range);
      assert.deepEqual(sources, [
        {
          source: NODE,
          service: 'default/orders',
          hour: new Date(NOW).toISOString(),
          issued: 30,
          arrived: 2,
          sampled: 8,
          dropped: { successes: 4 },
          missing: 16,
          ratio: 10 / 30,
          gaps: [
            { from_seq: 11, until_seq: 20, why: 'not_arrived' },
            { from_seq: 21, until_seq: 30, why: 'unaccounted' },
          ],
        },
      ]);
      assert.equal(ratio, 10 / 30);
      const missing = (await store.missing(range)).map(({ count, why }) => `${count} ${why}`);
      assert.deepEqual(missing, [
        '4 dropped at the source: successes',
        '16 never arrived: numbers 11–20, 21–30',
      ]);
      // What comes late closes its gap.
      await added(store, batch(11, 20));
      assert.equal((await store.completeness(range)).sources[0]?.missing, 6);
    },
  ],

  [
    'what arrived too long ago goes, days at a time, and the rest is found as before',
    async (store) => {
      const days = [0, 1, 5, 9];
      for (const [at, day] of days.entries()) {
        const nowMs = NOW + day * DAY_MS;
        const time = (seq: number) => ({ time: new Date(nowMs + seq).toISOString() });
        await added(store, batch(at * 10 + 1, at * 10 + 10, time), nowMs + 1_000);
      }
      const newest = await store.newestId();
      const { oldestMs, records } = await store.state();
      assert.deepEqual([records, oldestMs], [40, NOW + 1]);
      const middle = await store.list({}, { limit: 15 });
      const gone = await store.prune(NOW + 9 * DAY_MS + 2_000);
      assert.deepEqual(gone, { ok: true, value: 20 });
      const left = Array.from({ length: 20 }, (_, at) => at + 21);
      assert.deepEqual(await seqs(store, []), left);
      const page = await store.list({}, { limit: 15, cursor: middle.next });
      assert.deepEqual(
        [...middle.records, ...page.records].map(({ seq }) => seq),
        left.toReversed(),
      );
      const at = NOW + 5 * DAY_MS;
      const inTime = await store.list({ sinceMs: at, untilMs: at + 24 }, { limit: 100 });
      assert.deepEqual(
        inTime.records.map(({ seq }) => seq),
        [23, 22, 21],
      );
      const after = await store.state();
      assert.deepEqual(
        [after.records, after.oldestMs, after.newestId, await store.newestId()],
        [20, at + 21, newest, newest],
      );
      // Nothing of it needs to stay, and numbers go on.
      const later = NOW + 30 * DAY_MS;
      await store.prune(later);
      await added(store, batch(41, 42), later);
      await store.prune(later);
      assert.ok((await store.newestId()) > newest);
      assert.deepEqual(await seqs(store, []), [41, 42]);
    },
  ],
];
