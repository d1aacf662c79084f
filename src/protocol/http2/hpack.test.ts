import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';

function decoderOf(tableBytes = 4096): HpackDecoder {
  return new HpackDecoder({ tableBytes, maxFieldBytes: 65_536, maxFields: 128 });
}

function decode(decoder: HpackDecoder, hex: string): string | readonly string[] {
  const bytes = Buffer.from(hex, 'hex');
  const outcome = decoder.decode(bytes, 0, bytes.length);
  if (outcome !== 'fields') return outcome;
  return Array.from({ length: decoder.count }, (_, at) => [
    decoder.names[at] as string,
    decoder.values[at] as string,
  ]).flat();
}

const EXAMPLE = [
  ':method',
  'GET',
  ':scheme',
  'http',
  ':path',
  '/',
  ':authority',
  'www.example.com',
];
const SECURE = [':method', 'GET', ':scheme', 'https', ':path', '/index.html', ...EXAMPLE.slice(6)];
const REDIRECT = [
  ['cache-control', 'private'],
  ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  ['location', 'https://www.example.com'],
].flat();

// RFC 7541 appendix C: blocks of one connection, in order.
const VECTORS: readonly (readonly [
  name: string,
  tableBytes: number,
  blocks: readonly (readonly [hex: string, fields: readonly string[]])[],
])[] = [
  [
    'C.3',
    4096,
    [
      ['828684410f7777772e6578616d706c652e636f6d', EXAMPLE],
      ['828684be58086e6f2d6361636865', [...EXAMPLE, 'cache-control', 'no-cache']],
      [
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
        [...SECURE, 'custom-key', 'custom-value'],
      ],
    ],
  ],
  [
    'C.4',
    4096,
    [
      ['828684418cf1e3c2e5f23a6ba0ab90f4ff', EXAMPLE],
      ['828684be5886a8eb10649cbf', [...EXAMPLE, 'cache-control', 'no-cache']],
      [
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
        [...SECURE, 'custom-key', 'custom-value'],
      ],
    ],
  ],
  [
    'C.6',
    256,
    [
      [
        '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
        [':status', '302', ...REDIRECT],
      ],
      ['4883640effc1c0bf', [':status', '307', ...REDIRECT]],
    ],
  ],
];

for (const [name, tableBytes, blocks] of VECTORS) {
  test(`the vectors of RFC 7541 ${name} decode`, () => {
    const decoder = decoderOf(tableBytes);
    for (const [hex, fields] of blocks) assert.deepEqual(decode(decoder, hex), fields);
  });

  test(`every truncation of ${name} is refused or shorter, and none throws`, () => {
    for (const [hex, fields] of blocks) {
      for (let length = 0; length < hex.length; length += 2) {
        const found = decode(decoderOf(tableBytes), hex.slice(0, length));
        if (typeof found === 'string') assert.equal(found, 'broken');
        else assert.deepEqual(found, fields.slice(0, found.length));
      }
    }
  });
}

const BROKEN: readonly (readonly [name: string, hex: string])[] = [
  ['index 0', '80'],
  ['an index past both tables', 'be'],
  ['a name index past both tables', '7f0001'],
  ['an integer that never ends', 'ffffffffffffffff'],
  ['an integer larger than any', 'ff8080808080ffffff7f'],
  ['a string longer than its block', '000a61'],
  ['a literal without value', '000161'],
  ['a size change after a field', '8220'],
  ['a size larger than allowed', '3fe21f'],
  ['padding of eight bits', '00018100ff84ffffffff'],
  ['padding of zeros', '0001618118'],
  ['EOS inside a string', '00016184ffffffff'],
];

for (const [name, hex] of BROKEN) {
  test(`${name} breaks the connection`, () => assert.equal(decode(decoderOf(), hex), 'broken'));
}

test('limits: fields past the number or size are dropped, the table goes on', () => {
  const decoder = new HpackDecoder({ tableBytes: 4096, maxFieldBytes: 100, maxFields: 2 });
  assert.equal(decode(decoder, '828684'), 'too_large');
  const twice = ['x', 'a'.repeat(10), 'x', 'a'.repeat(10)];
  assert.deepEqual(decode(decoder, `4001780a${'61'.repeat(10)}be`), twice);
});

/** Sizes of blocks that our encoder writes for the same fields, one after another. */
function sizes(fields: readonly string[], times: number): readonly number[] {
  const encoder = new HpackEncoder();
  const out = Buffer.alloc(encoder.bound(fields));
  return Array.from({ length: times }, () => encoder.encode(fields, out, 0));
}

test('what is sent again and again becomes a byte each; what must not be guessed never does', () => {
  const [first = 0, second = 0, third = 0] = sizes([...EXAMPLE, 'x-team', 'orders'], 3);
  assert.ok(second < first);
  assert.equal(third, 5);
  const [, , secret = 0] = sizes(['authorization', 'Bearer 0123456789'], 3);
  assert.ok(secret > 17);
});

test('a value that changes each time pushes nothing out of the table', () => {
  const encoder = new HpackEncoder();
  const decoder = decoderOf();
  const out = Buffer.alloc(4096);
  let size = 0;
  for (let i = 0; i < 500; i++) {
    const fields = [...EXAMPLE, 'x-team', 'orders', 'traceparent', `00-${i}-${'0'.repeat(40)}`];
    size = encoder.encode(fields, out, 0);
    assert.equal(decoder.decode(out, 0, size), 'fields');
    assert.equal(decoder.values[5], fields[11]);
  }
  assert.ok(size < 60, `${size} bytes`);
});

test('a peer that keeps no table, or less of one, is told so and decodes on', () => {
  const encoder = new HpackEncoder();
  const decoder = decoderOf();
  const out = Buffer.alloc(4096);
  for (const limit of [4096, 0, 100, 4096, 60, 200]) {
    encoder.limitTable(limit);
    for (let i = 0; i < 4; i++) {
      const fields = [...EXAMPLE, `x-${limit}`, `value ${limit}`];
      const end = encoder.encode(fields, out, 0);
      assert.equal(decoder.decode(out, 0, end), 'fields');
      assert.equal(decoder.values[4], `value ${limit}`);
    }
  }
});
