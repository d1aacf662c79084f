import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, decodeCanonicalJson, encodeCanonicalJson } from './index.ts';

const bytes = (text: string) => Buffer.from(text);

test('numbers are written as ECMAScript writes them (RFC 8785 section 3.2.2.3)', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [-0, '0'],
    [1, '1'],
    [-1.5, '-1.5'],
    [10 ** 20, '100000000000000000000'],
    [10 ** 21, '1e+21'],
    [1e-6, '0.000001'],
    [1e-7, '1e-7'],
    [0.1 + 0.2, '0.30000000000000004'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [2 ** 53 + 2, '9007199254740994'],
    [5e-324, '5e-324'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
    [-Number.MAX_VALUE, '-1.7976931348623157e+308'],
    [1e23, '1e+23'],
    [1 / 3, '0.3333333333333333'],
  ];
  for (const [value, text] of cases) assert.equal(canonicalJson(value), text);
});

test('strings escape what must be and nothing else (RFC 8785 section 3.2.2.2)', () => {
  const cases: [string, string][] = [
    ['\b\t\n\f\r', '"\\b\\t\\n\\f\\r"'],
    ['"\\', '"\\"\\\\"'],
    ['/', '"/"'],
    ['\u0000\u000B\u001F', '"\\u0000\\u000b\\u001f"'],
    ['\u007F\u0080\u00E9\u2028\u20AC', '"\u007F\u0080\u00E9\u2028\u20AC"'],
    ['\u{1F600}', '"\u{1F600}"'],
    // Not normalised: what looks alike stays different.
    ['A\u030A', '"A\u030A"'],
  ];
  for (const [value, text] of cases) assert.equal(canonicalJson(value), text);
});

test('members are sorted by UTF-16 code units, not by code points (RFC 8785 section 3.2.3)', () => {
  // U+1F600 begins with the unit D83D and so comes before U+FB33, although it is the greater code point.
  const value = {
    '\uFB33': 1,
    '\u{1F600}': 2,
    '\u20AC': 3,
    '\u00F6': 4,
    '\r': 5,
    '1': 6,
    '10': 7,
    '2': 8,
    '': 9,
    Z: 10,
    a: 11,
  };
  const expected = ['', '\r', '1', '10', '2', 'Z', 'a', '\u00F6', '\u20AC', '\u{1F600}', '\uFB33'];
  const sorted = [...canonicalJson(value).matchAll(/"((?:\\.|[^"])*)":/g)].map(
    ([, key]) => JSON.parse(`"${key}"`) as string,
  );
  assert.deepEqual(sorted, expected);
});

test('nested values keep the order of arrays and have no white space', () => {
  const value = { b: [3, { z: null, y: [true, false] }, 1], a: {} };
  assert.equal(canonicalJson(value), '{"a":{},"b":[3,{"y":[true,false],"z":null},1]}');
});

test('what JSON cannot say is refused', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  const bad = [
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '\uD800',
    'x\uDC00',
    { '\uD800': 1 },
    { a: undefined },
    Array(1),
    1n,
    Symbol('x'),
    () => 1,
    new Date(0),
    new Map(),
    new Uint8Array(1),
    cyclic,
  ];
  for (const value of bad) {
    assert.equal(encodeCanonicalJson(value).ok, false);
    assert.throws(() => canonicalJson(value), { code: 'malformed' });
  }
});

test('only the canonical text is read back', () => {
  const good = '{"a":[1,"x"],"b":{"__proto__":1}}';
  assert.equal(decodeCanonicalJson(bytes(good)).ok, true);
  const bad = [
    '{"a":1,"a":1}',
    '{"b":1,"a":2}',
    '{ "a":1}',
    '{"a":1} ',
    '{"a":1.0}',
    '{"a":1e0}',
    '{"a":-0}',
    '{"a":1e400}',
    '{"a":12345678901234567890}',
    '{"a":"\\u0041"}',
    '{"a":"\\/"}',
    '{"a":"\\ud800"}',
    '{"a":1,}',
    '\uFEFF{"a":1}',
    '',
    'nul',
  ];
  for (const text of bad) assert.equal(decodeCanonicalJson(bytes(text)).ok, false, text);
  assert.equal(decodeCanonicalJson(Buffer.from([0x22, 0xc3, 0x28, 0x22])).ok, false, 'UTF-8');
  assert.equal(decodeCanonicalJson(Buffer.from('"\xed\xa0\x80"', 'latin1')).ok, false, 'CESU');
});

test('any JSON value has one text, which says the same', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const encoded = encodeCanonicalJson(value);
      // A generated string may hold a lone surrogate, which RFC 8785 refuses.
      if (!encoded.ok) return;
      const decoded = decodeCanonicalJson(bytes(encoded.value));
      assert.ok(decoded.ok);
      assert.equal(canonicalJson(decoded.value), encoded.value);
      assert.deepEqual(decoded.value, JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 300 },
  );
});
