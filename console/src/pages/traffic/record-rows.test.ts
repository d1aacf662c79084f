import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListedRecord } from '../../api/access-record.ts';
import { MAX_ROWS, matchRecords, mergeRecords, oneSide } from './record-rows.ts';

function record(id: number, part: Partial<ListedRecord> = {}): ListedRecord {
  const time = new Date(Date.UTC(2026, 0, 1) + id * 1000).toISOString();
  return { 'record.id': `r${id}`, time, path: `/p${id}`, ...part } as ListedRecord;
}

const ids = (rows: readonly ListedRecord[]): string =>
  rows.map((row) => row['record.id']).join(' ');

test('records are shown newest first and once each', () => {
  const shown = mergeRecords([], [record(1), record(3)]);
  assert.equal(ids(shown), 'r3 r1');
  assert.equal(ids(mergeRecords(shown, [record(3), record(2)])), 'r3 r2 r1');
});

test('nothing new leaves the rows as they are', () => {
  const shown = mergeRecords([], [record(1)]);
  assert.equal(mergeRecords(shown, [record(1)]), shown);
});

test('rows are bounded, the oldest leave', () => {
  const many = Array.from({ length: MAX_ROWS + 5 }, (_, index) => record(index));
  const shown = mergeRecords([], many);
  assert.equal(shown.length, MAX_ROWS);
  assert.equal(shown.at(-1)?.['record.id'], 'r5');
});

test('a call recorded on both sides is shown once, a failure of the caller’s side stays', () => {
  const rows = [
    record(1, { reporter: 'destination', reason: null }),
    record(2, { reporter: 'source', reason: null, denial_id: null }),
    record(3, { reporter: 'source', reason: 'policy_denied', denial_id: 'dn-7' }),
    record(4, { reporter: 'source', reason: 'no_healthy_endpoint', denial_id: null }),
  ];
  assert.equal(ids(oneSide(rows)), 'r1 r4');
});

test('a text is looked for in path, caller and ids, whatever its case', () => {
  const rows = [record(1, { denial_id: 'dn-7' }), record(2, { 'source.service': 'Web' })];
  assert.equal(ids(matchRecords(rows, ' DN-7 ')), 'r1');
  assert.equal(ids(matchRecords(rows, 'web')), 'r2');
  assert.equal(ids(matchRecords(rows, '')), 'r1 r2');
});
