import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patchQuery } from '../../route/query.ts';
import {
  conditionsOf,
  encodeTrafficFilter,
  parseTrafficFilter,
  recordsPath,
  trafficCommand,
  watchPath,
} from './traffic-filter.ts';

const cases: { query: string; command: string; records: string }[] = [
  {
    query: '',
    command: 'palisade log --follow --since 5m',
    records: '/records?since=5m&limit=200',
  },
  {
    query: '?denied=true&from=web&to=shop%2Forders&since=1h',
    command: 'palisade log --follow --denied --from web --to shop/orders --since 1h',
    records: '/records?denied=true&from=web&to=shop%2Forders&since=1h&limit=200',
  },
  {
    query:
      '?where=status%3E%3D500+nonsense+limit%3D1+path%3D%2Fapi*+method!%3DGET+reason~tls&since=15m',
    command:
      "palisade log --follow --since 15m --where 'status>=500' --where 'path=/api*' --where 'method!=GET' --where 'reason~tls'",
    records:
      '/records?status=%3E%3D500&path=%2Fapi*&method=%21GET&reason=%7Etls&since=15m&limit=200',
  },
  {
    query: '?since=2026-03-02T10:00:00.000Z&until=2026-03-02T11:00:00.000Z',
    command: 'palisade log --since 2026-03-02T10:00:00.000Z --until 2026-03-02T11:00:00.000Z',
    records:
      '/records?since=2026-03-02T10%3A00%3A00.000Z&until=2026-03-02T11%3A00%3A00.000Z&limit=200',
  },
  {
    query: '?since=yesterday&denied=perhaps',
    command: 'palisade log --follow --since 5m',
    records: '/records?since=5m&limit=200',
  },
];

for (const { query, command, records } of cases) {
  test(`the filter of \`${query}\` asks the API and the CLI the same`, () => {
    const filter = parseTrafficFilter(new URLSearchParams(query));
    assert.equal(trafficCommand(filter), command);
    assert.equal(recordsPath(filter), records);
  });
}

test('an address reproduces its filter', () => {
  const search = '?denied=true&from=web&since=24h&where=status%3D500&sides=both&q=%2Fcheckout';
  const filter = parseTrafficFilter(new URLSearchParams(search));
  assert.equal(patchQuery('', encodeTrafficFilter(filter)), search);
});

test('the live tail has no beginning in the past', () => {
  const filter = parseTrafficFilter(new URLSearchParams('?to=orders&since=1h'));
  assert.equal(watchPath(filter), '/api/v1/records/watch?to=orders');
  const over = '?since=2026-03-02T10:00:00.000Z&until=2026-03-02T11:00:00.000Z';
  assert.equal(watchPath(parseTrafficFilter(new URLSearchParams(over))), undefined);
});

test('changing one key of an address keeps the others', () => {
  assert.equal(patchQuery('?a=1&b=2', { a: '3', c: '4' }), '?a=3&b=2&c=4');
  assert.equal(patchQuery('?a=1', { a: '' }), '');
});

test('attack: a value that begins like an operator stays a value', () => {
  assert.deepEqual(conditionsOf('path=!x host=>5 method=GET'), {
    path: '\\!x',
    host: '\\>5',
    method: 'GET',
  });
});
