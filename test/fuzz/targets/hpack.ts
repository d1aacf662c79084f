import assert from 'node:assert/strict';
import { HpackDecoder } from '../../../src/protocol/http2/hpack-decoder.ts';
import { HpackEncoder } from '../../../src/protocol/http2/hpack-encoder.ts';
import { block, compressed, GET_FIELDS } from '../../../src/protocol/http2/raw-frames.ts';
import type { FuzzTarget } from '../target.ts';

const BOUNDS = { tableBytes: 4096, maxFieldBytes: 65_536, maxFields: 128 };

/** What decodes encodes again to the same fields, twice in a row over one table; nothing throws. */
export const hpackTarget: FuzzTarget = {
  name: 'hpack',
  seeds: [
    block(GET_FIELDS),
    compressed(GET_FIELDS),
    compressed([...GET_FIELDS, 'x-one', 'value', 'x-two', 'another value', 'cookie', 'a=b']),
    Buffer.from('828684418cf1e3c2e5f23a6ba0ab90f4ff', 'hex'),
    Buffer.from(
      '4882640258 85aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff'.replaceAll(' ', ''),
      'hex',
    ),
    Buffer.from('3fe11f20408825a849e95ba97d7f8925a849e95bb8e8b4bfbe', 'hex'),
  ],
  tokens: [
    '\x82',
    '\xbe',
    '\x40',
    '\x7f\xff\xff\xff\x0f',
    '\x20',
    '\x3f\xe1\x1f',
    '\x0f\x2f',
    '\x10',
  ],
  run(bytes) {
    const decoder = new HpackDecoder(BOUNDS);
    if (decoder.decode(bytes, 0, bytes.length) !== 'fields') return;
    const fields = read(decoder);
    const encoder = new HpackEncoder();
    const mirror = new HpackDecoder(BOUNDS);
    for (let round = 0; round < 3; round++) {
      const out = Buffer.alloc(encoder.bound(fields));
      const end = encoder.encode(fields, out, 0);
      assert.ok(end <= out.length);
      assert.equal(mirror.decode(out, 0, end), 'fields');
      assert.deepEqual(read(mirror), fields);
      if (round === 1) encoder.limitTable(100);
    }
  },
};

function read(decoder: HpackDecoder): readonly string[] {
  const fields: string[] = [];
  for (let at = 0; at < decoder.count; at++) {
    fields.push(decoder.names[at] as string, decoder.values[at] as string);
  }
  return fields;
}
