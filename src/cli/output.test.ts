import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, printable, table } from './output.ts';

test('a record cannot command the terminal', () => {
  assert.equal(printable('/a\u001b[2J\r\nb\u009b'), '/a\ufffd[2J\ufffd\ufffdb\ufffd');
  assert.equal(printable('/größe/日本'), '/größe/日本');
});

test('columns are aligned by their widest cell, empty cells show', () => {
  assert.equal(
    table([
      ['A', 'B'],
      ['long', ''],
      ['', 'x'],
    ]),
    'A      B\nlong   -\n-      x',
  );
});

test('ages are short, and the same ahead of now', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const cases: readonly (readonly [number, string])[] = [
    [14, '14s'],
    [-90, '90s'],
    [600, '10m'],
    [7200, '2h'],
    [345_600, '4d'],
  ];
  for (const [seconds, text] of cases)
    assert.equal(age(new Date(now - seconds * 1000).toISOString(), now), text);
  assert.equal(age(null, now), '-');
});
