import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { AccessRecord } from '#telemetry';
import { openRecords, type RecordBounds } from './records-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-records-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

const NOW = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

function open(bounds: RecordBounds) {
  return openRecords(join(folder, `records-${++files}.db`), bounds);
}

function incoming(seq: number, over: Partial<AccessRecord> = {}) {
  const record = {
    time: new Date(NOW).toISOString(),
    verdict: 'deny',
    reporter: 'destination',
    'source.id': null,
    'source.service': 'web',
    'destination.service': 'orders',
    'destination.namespace': 'default',
    denial_id: `d${seq}`,
    policy: null,
    rule: null,
    reason: 'policy_denied',
    seq,
    ...over,
  } as AccessRecord;
  return { node: 'n', record, json: JSON.stringify(record) };
}

test('records beyond the bounds are forgotten, the oldest first', () => {
  const records = open({ maxRecords: 10, maxAgeMs: HOUR_MS });
  records.add(
    Array.from({ length: 25 }, (_, i) => incoming(i)),
    NOW,
  );
  assert.deepEqual(records.prune(NOW), { ok: true, value: 15 });
  const left = records.list({}, { limit: 100 }).map((record) => record.seq);
  assert.deepEqual(left, [24, 23, 22, 21, 20, 19, 18, 17, 16, 15]);
  assert.deepEqual(records.prune(NOW + 2 * HOUR_MS), { ok: true, value: 10 });
  assert.equal(records.denial('d24'), undefined);
  records.close();
});

test('denials that are alike are one group with a sample', () => {
  const records = open({ maxRecords: 100, maxAgeMs: HOUR_MS });
  const later = new Date(NOW + 5_000).toISOString();
  records.add(
    [
      incoming(1),
      incoming(2, { time: later }),
      incoming(3, { 'source.service': 'intruder' }),
      incoming(4, { verdict: 'allow' }),
      incoming(5, { reporter: 'source' }),
    ],
    NOW,
  );
  const groups = records.denials(NOW - HOUR_MS, 10);
  assert.deepEqual(
    groups.map(({ sourceService, count, firstMs, lastMs }) => [
      sourceService,
      count,
      lastMs - firstMs,
    ]),
    [
      ['web', 2, 5_000],
      ['intruder', 1, 0],
    ],
  );
  assert.equal(records.byId(groups[0]?.sampleId ?? 0)?.denial_id, 'd2');
  assert.equal(records.countDenied(NOW - HOUR_MS), 3);
  records.close();
});

test('a denial is the record of who denied, also when the caller’s copy of its id came first', () => {
  const records = open({ maxRecords: 100, maxAgeMs: HOUR_MS });
  const copy = { reporter: 'source', verdict: 'allow', denial_id: 'd' } as const;
  records.add([incoming(1, copy)], NOW);
  assert.equal(records.denial('d'), undefined);
  records.add([incoming(2, { verdict: 'deny', denial_id: 'd' })], NOW);
  assert.equal(records.denial('d')?.verdict, 'deny');
  records.close();
});

test('hits count the rules that decided', () => {
  const records = open({ maxRecords: 100, maxAgeMs: HOUR_MS });
  const hit = { policy: 'default/p', rule: '1', verdict: 'allow' } as const;
  records.add([incoming(1, hit), incoming(2, hit), incoming(3)], NOW);
  const [tally, ...more] = records.hits(0);
  assert.deepEqual(
    [tally?.policy, tally?.rule, tally?.verdict, tally?.count, more.length],
    ['default/p', '1', 'allow', 2, 0],
  );
  records.close();
});

test('what policies in dry-run would have said is counted by policy, caller and outcome', () => {
  const records = open({ maxRecords: 100, maxAgeMs: HOUR_MS });
  const trial = (would: 'allow' | 'deny') => ({
    verdict: 'allow' as const,
    dry_run: [{ policy: 'default/p', verdict: would }],
  });
  records.add(
    [
      incoming(1, trial('deny')),
      incoming(2, trial('deny')),
      incoming(3, trial('allow')),
      incoming(4, { ...trial('deny'), 'source.service': 'batch' }),
      incoming(5, { ...trial('deny'), reporter: 'source' }),
      incoming(6),
    ],
    NOW,
  );
  const seen = records
    .trials(0, 10)
    .map(({ policy, sourceService, verdict, would, count }) =>
      [policy, sourceService, verdict, would, count].join(' '),
    );
  assert.deepEqual(seen.toSorted(), [
    'default/p batch allow deny 1',
    'default/p web allow allow 1',
    'default/p web allow deny 2',
  ]);
  records.close();
});

test('calls without TLS are counted by address, service and port', () => {
  const records = open({ maxRecords: 100, maxAgeMs: HOUR_MS });
  const plain = { 'tls.version': null, 'source.ip': '10.0.0.7', verdict: 'allow' as const };
  records.add(
    [
      incoming(1, plain),
      incoming(2, plain),
      incoming(3, { ...plain, verdict: 'deny' }),
      incoming(4, { ...plain, 'source.ip': '10.0.0.8' }),
      incoming(5, { ...plain, reporter: 'source' }),
      incoming(6, { 'tls.version': 'TLSv1.3' }),
    ],
    NOW,
  );
  const seen = records
    .plaintext(0, 10)
    .map(({ sourceIp, verdict, count }) => [sourceIp, verdict, count].join(' '));
  assert.deepEqual(seen.toSorted(), ['10.0.0.7 allow 2', '10.0.0.7 deny 1', '10.0.0.8 allow 1']);
  records.close();
});

test('attack: a filter that would be SQL is a value like any other', () => {
  const records = open({ maxRecords: 100, maxAgeMs: HOUR_MS });
  records.add([incoming(1)], NOW);
  const injected = "x' OR '1'='1";
  for (const query of [
    { from: injected },
    { to: injected },
    { namespace: injected },
    { denialId: injected },
  ]) {
    assert.deepEqual(records.list(query, { limit: 10 }), []);
  }
  assert.equal(records.list({}, { limit: 10 }).length, 1);
  records.close();
});

test('a question about a time finds late arrivals and clocks that differ', () => {
  const records = open({ maxRecords: 100, maxAgeMs: HOUR_MS });
  const at = (ms: number) => new Date(NOW + ms).toISOString();
  records.add([incoming(1, { time: at(-60_000) })], NOW - 60_000);
  // Spooled while the control plane was away, and from a host whose clock is a minute ahead.
  records.add([incoming(2, { time: at(-90_000) })], NOW);
  records.add([incoming(3, { time: at(60_000) })], NOW);
  const since = (ms: number) =>
    records.list({ sinceMs: NOW + ms }, { limit: 10 }).map((record) => record.seq);
  assert.deepEqual(
    [since(-100_000), since(-70_000), since(0), since(HOUR_MS)],
    [[3, 2, 1], [3, 1], [3], []],
  );
  records.close();
});
