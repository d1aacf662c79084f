import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from './fixtures.ts';
import { inOrder, storable } from './postgres-fields.ts';

test('attack: text that jsonb refuses is replaced, wherever it is, and nothing else is touched', () => {
  const cases: readonly (readonly [given: object, stored: object | undefined])[] = [
    [{ path: '/a' }, undefined],
    [{ path: '/\u{1f600}/ü/\\u0000/\\ud800' }, undefined],
    [{ path: '/\0x' }, { path: '/\ufffdx' }],
    [{ path: '/\ud800/\udc00' }, { path: '/\ufffd/\ufffd' }],
    [{ headers: { 'a\0': ['\udfff'] } }, { headers: { 'a\ufffd': ['\ufffd'] } }],
    [{ a: [null, 1.5, true, '\0'] }, { a: [null, 1.5, true, '\ufffd'] }],
  ];
  for (const [given, stored] of cases) {
    const { fields, json } = storable(given as Readonly<Record<string, unknown>>);
    assert.deepEqual(fields, stored ?? given);
    assert.deepEqual(JSON.parse(json), stored ?? given);
    assert.equal(/(?<!\\)\\u(?:0000|d[89a-f])/.test(json), false, json);
  }
});

test('fields come in the order of sidecars, unknown ones behind them', () => {
  const mixed = { new_field: 1, seq: 7, path: '/', time: 't', id: 'x' };
  assert.deepEqual(Object.keys(inOrder(mixed)), ['time', 'id', 'path', 'seq', 'new_field']);
  const whole = recordOf(1) as unknown as Readonly<Record<string, unknown>>;
  assert.deepEqual(inOrder(whole), whole);
});
