import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLine } from './command.ts';
import { encodeCsv } from './export.ts';
import {
  formatAgo,
  formatBytes,
  formatInstant,
  formatMicros,
  formatNoun,
  formatPercent,
  formatRate,
  formatShare,
  formatSpan,
  formatSpanWord,
  formatZone,
} from './format.ts';
import { nameBeside, plainName, qualifiedName, shortName } from './names.ts';
import { sentencePieces } from './sentence.ts';

function check<T>(read: (input: T) => string, cases: readonly (readonly [T, string])[]): void {
  for (const [input, expected] of cases) assert.equal(read(input), expected, String(input));
}

test('rates keep two digits of meaning at any size', () => {
  check(formatRate, [
    [0, '0/s'],
    [Number.NaN, '0/s'],
    [0.0001, '<1/h'],
    [0.0103, '37/h'],
    [0.1, '6/min'],
    [3.24, '3.2/s'],
    [24.4, '24/s'],
    [12_408, '12,408/s'],
  ]);
});

test('a share is never rounded to nothing or to all', () => {
  check(formatPercent, [
    [0, '0 %'],
    [0.0004, '<1 %'],
    [0.5, '50 %'],
    [0.9999, '>99 %'],
    [1, '100 %'],
  ]);
});

test('an objective keeps the digits it is about', () => {
  check(formatShare, [
    [1, '100 %'],
    [0.9995, '99.95 %'],
    [0.99999, '99.99 %'],
    [0.999, '99.90 %'],
    [0.5, '50 %'],
    [0.123, '12.3 %'],
    [0, '0 %'],
    [-0.5, '-50 %'],
  ]);
});

test('durations, sizes and spans take their largest sensible unit', () => {
  check(formatMicros, [
    [640, '640 µs'],
    [1_240, '1.2 ms'],
    [38_000, '38 ms'],
    [4_100_000, '4.1 s'],
  ]);
  check(formatBytes, [
    [812, '812 B'],
    [1_400, '1.4 kB'],
    [23_000_000, '23 MB'],
  ]);
  check(formatSpan, [
    [14_900, '14 s'],
    [120_000, '2 min'],
    [-7_200_000, '2 h'],
    [12 * 86_400_000, '12 d'],
    [729 * 86_400_000, '729 d'],
    [3649 * 86_400_000, '9 y'],
  ]);
});

test('instants read relative to now, and skew is not the future', () => {
  const now = Date.parse('2026-01-02T03:04:05Z');
  const read = (instant: string | number | undefined) => formatAgo(instant, now);
  check(read, [
    [undefined, 'never'],
    ['not a time', 'never'],
    [now + 900, 'just now'],
    [now - 1_000, 'just now'],
    ['2026-01-02T03:03:51Z', '14 s ago'],
    [now + 42 * 60_000, 'in 42 min'],
  ]);
  assert.match(formatInstant(now), /^2026-01-0\d \d\d:\d\d:05\.000 (UTC|[+−]\d\d:\d\d)$/);
  assert.ok(formatInstant(now).endsWith(` ${formatZone(now)}`));
});

test('nouns agree with their number', () => {
  assert.equal(formatNoun(1, 'service'), '1 service');
  assert.equal(formatNoun(0, 'service'), '0 services');
  assert.equal(formatNoun(2, 'identity', 'identities'), '2 identities');
});

test('identities read as people named them', () => {
  const cases: [string | null, string | undefined, string][] = [
    ['spiffe://cluster.local/ns/shop/sa/web', undefined, 'web'],
    ['spiffe://cluster.local/ns/shop/sa/web', 'frontend', 'frontend'],
    ['spiffe://cluster.local/palisade/agent/host-1', undefined, 'palisade/agent/host-1'],
    [null, undefined, 'no identity'],
  ];
  for (const [id, service, expected] of cases) assert.equal(shortName(id, service), expected);
  assert.equal(qualifiedName('redis', 'cache'), 'redis.cache');
  assert.equal(qualifiedName('redis', 'default'), 'redis');
  const web = 'spiffe://cluster.local/ns/shop/sa/web';
  assert.equal(nameBeside('orders', 'shop', web), 'orders');
  assert.equal(nameBeside('redis', 'data', web), 'redis.data');
  assert.equal(nameBeside('redis', 'data', null), 'redis');
  assert.equal(plainName('shop/orders', web), 'orders');
  assert.equal(plainName('data/redis', web), 'redis.data');
  assert.equal(plainName('orders', web), 'orders');
  assert.equal(plainName(web, null), 'web');
  assert.equal(plainName('unknown', null), 'no identity');
});

test('a pasted command means what it says', () => {
  const line = commandLine(
    ['log'],
    [
      ['denied', true],
      ['from', 'web'],
      ['to', undefined],
      ['path', `/a b'; rm -rf ~`],
    ],
  );
  assert.equal(line, `palisade log --denied --from web --path '/a b'\\''; rm -rf ~'`);
});

test('attack: a path that a spreadsheet would run as a formula', () => {
  const rows = [{ path: '=HYPERLINK("http://evil")', calls: -2 }];
  const csv = encodeCsv(
    [
      { head: 'path', value: (row: { path: string }) => row.path },
      { head: 'calls', value: (row: { calls: number }) => row.calls },
    ] as { head: string; value: (row: (typeof rows)[number]) => string | number }[],
    rows,
  );
  assert.equal(csv, `path,calls\r\n"'=HYPERLINK(""http://evil"")",-2\r\n`);
});

test('sentences of the API end with a full stop and set quotations as code', () => {
  const read = (text: string): string =>
    sentencePieces(text)
      .map((piece) => (piece.isCode ? `<${piece.text}>` : piece.text))
      .join('');
  check(read, [
    ['', ''],
    ['path `/a` is not `/b`', 'path </a> is not </b>.'],
    ['done.', 'done.'],
    ['a stray ` stays', 'a stray ` stays.'],
    ['`web` and a stray `', '<web> and a stray `.'],
  ]);
});

test('spans read as people say them', () => {
  check(formatSpanWord, [
    ['5m', '5 minutes'],
    ['1h', 'hour'],
    ['24h', '24 hours'],
    ['7d', '7 days'],
    ['soon', 'soon'],
  ]);
});
