import assert from 'node:assert/strict';
import { added, type Case, seqs, where } from './contract-case.ts';
import { accountOf, batch, NODE, NOW, recordOf, reportOf } from './fixtures.ts';

/** What becomes of what nodes send. */
export const INTAKE_CASES: readonly Case[] = [
  [
    'what was stored is read again as it was sent, with its node and a growing number',
    async (store) => {
      const odd = {
        weight: 12,
        kept: 'sampled',
        parent_span_id: '00f067aa0ba902b7',
        decision_us: 7,
        dry_run: [{ policy: 'default/p', verdict: 'deny' }],
        redacted: ['path'],
        path: '/ü/\u001b[31m?"\\',
        trace_id: 'not hex',
        new_field: 'of a later version',
        new_number: 1.5,
        new_flag: true,
      };
      const sent = [
        recordOf(1),
        recordOf(2, odd),
        recordOf(3, { kind: 'tcp', status: null, method: null }),
      ];
      const stored = await added(store, reportOf(sent));
      assert.equal(stored.stored, 3);
      const { records } = await store.list({}, { limit: 10, ascending: true });
      assert.deepEqual(
        records.map((record) => ({ ...record, 'record.id': '' })),
        sent.map((record) => ({ ...record, node: NODE, 'record.id': '' })),
      );
      assert.deepEqual(records, stored.records());
      const ids = records.map((record) => Number(record['record.id']));
      assert.ok(
        ids.every((id, at) => at === 0 || id > (ids[at - 1] ?? 0)),
        ids.join(' '),
      );
      assert.equal(await store.newestId(), ids.at(-1));
      assert.deepEqual(await store.byId(ids[1] ?? 0), records[1]);
      assert.deepEqual([...(await store.byIds([ids[2] ?? 0, 5])).values()], [records[2]]);
    },
  ],

  [
    'what comes again is stored once, whether whole or in other pieces',
    async (store) => {
      assert.equal((await added(store, batch(1, 20))).stored, 20);
      const again = await added(store, batch(1, 20));
      assert.deepEqual([again.stored, again.duplicates, again.records().length], [0, 20, 0]);
      const more = await added(store, batch(11, 30));
      assert.deepEqual([more.stored, more.duplicates], [10, 10]);
      assert.deepEqual(
        more.records().map(({ seq }) => seq),
        [21, 22, 23, 24, 25, 26, 27, 28, 29, 30],
      );
      assert.equal((await seqs(store, [])).length, 30);
      const twice = reportOf([recordOf(31), recordOf(31)], { accounts: [accountOf(31, 31)] });
      assert.equal((await added(store, twice)).stored, 1);
    },
  ],

  [
    'a source that lost its folder and counts from the beginning loses nothing',
    async (store) => {
      await added(store, batch(1, 20));
      const anew = reportOf([recordOf(1, { id: 'b0000002-1', path: '/new' })], {
        accounts: [accountOf(1, 1, { boot: 'b0000002' })],
      });
      assert.equal((await added(store, anew)).stored, 1);
      assert.equal((await seqs(store, [where('path', '/new')])).length, 1);
      // One that does not name its starts is known by its clock.
      const later = { time: new Date(NOW + 9_000).toISOString(), path: '/later' };
      await added(store, reportOf([recordOf(1), recordOf(2)], { node: 'default/orders/old' }));
      await added(store, reportOf([recordOf(1, later)], { node: 'default/orders/old' }));
      assert.equal((await seqs(store, [where('path', '/later')])).length, 1);
    },
  ],

  [
    'attack: a node writes nothing into the records of others',
    async (store) => {
      const foreign: readonly Readonly<Record<string, unknown>>[] = [
        { 'destination.service': 'billing' },
        { 'destination.namespace': 'shop' },
        { 'destination.id': 'spiffe://cluster.local/ns/shop/sa/orders' },
        { reporter: 'source' },
        {
          reporter: 'source',
          'source.service': 'orders',
          'source.id': 'spiffe://x/ns/shop/sa/orders',
        },
        { node: 'default/billing/1', 'destination.service': 'billing' },
      ];
      for (const [at, over] of foreign.entries()) {
        const { stored, refused } = await added(store, reportOf([recordOf(at + 1, over)]));
        assert.deepEqual([stored, refused], [0, 1], JSON.stringify(over));
      }
      const identity = 'spiffe://cluster.local/ns/default/sa/orders';
      const asAnother = { 'destination.id': 'spiffe://cluster.local/ns/default/sa/billing' };
      const { refused } = await added(store, reportOf([recordOf(8, asAnother)], { identity }));
      assert.equal(refused, 1);
      assert.equal((await added(store, reportOf([recordOf(9)], { identity }))).stored, 1);
      const [record] = (await store.list({}, { limit: 10 })).records;
      assert.equal(record?.node, NODE);
    },
  ],

  [
    'what is no record is refused and counted, and the others are stored',
    async (store) => {
      const bad = [
        'no json',
        '[]',
        'null',
        JSON.stringify({ ...recordOf(2), verdict: 'maybe' }),
        JSON.stringify({ ...recordOf(2), time: 'yesterday' }),
        JSON.stringify({ ...recordOf(2), bytes_in: -1 }),
        JSON.stringify({ ...recordOf(2), path: 'x'.repeat(70_000) }),
        `{"__proto__":{"verdict":"deny"},${JSON.stringify(recordOf(2)).slice(1)}`,
      ];
      const result = await added(store, reportOf([recordOf(1), ...bad, recordOf(3)]));
      assert.deepEqual([result.stored, result.refused], [2, bad.length]);
      assert.deepEqual(await seqs(store, []), [1, 3]);
    },
  ],

  [
    'attack: text that no database likes costs nobody a record',
    async (store) => {
      // JSON may escape what is no text: NUL, and half a pair of surrogates.
      const odd = (seq: number, escaped: string) =>
        JSON.stringify(recordOf(seq, { path: '/ODD', headers: { 'x-odd': 'ODD' } })).replaceAll(
          'ODD',
          escaped,
        );
      const lines = [
        String.raw`\u0000`,
        String.raw`\ud800`,
        String.raw`\udc00\ud800`,
        String.raw`\\u0000\t\r\n\\N\\.`,
      ];
      const sent = lines.map((escaped, at) => odd(at + 1, escaped));
      assert.equal((await added(store, reportOf([...sent, recordOf(5)]))).stored, 5);
      const { records } = await store.list({}, { limit: 10, ascending: true });
      assert.equal(records.length, 5);
      assert.equal(records[3]?.path, '/\\u0000\t\r\n\\N\\.');
      assert.deepEqual(await seqs(store, [where('path', '/\\u0000*')]), [4]);
    },
  ],
];
