import assert from 'node:assert/strict';
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  isBodyOf,
  recordsOf,
} from '../../../src/telemetry/spool/frame.ts';
import { MAX_BLOCK_BYTES, packLines } from '../../../src/telemetry/spool/record-block.ts';
import type { FuzzTarget } from '../target.ts';

const LINE = '{"path":"/a","weight":1,"kept":"all","seq":7}\n';

function frame(body: string): Buffer {
  const records = packLines(Buffer.from(body));
  const whole = Buffer.concat([Buffer.alloc(HEADER_BYTES), records]);
  encodeHeader(whole, records, {
    boot: 'bootboot',
    firstSeq: 7,
    lastSeq: 9,
    sinceMs: 1,
    untilMs: 2,
    records: body.length / LINE.length,
    sampled: 1,
    dropped: { success: 1, error: 0, denial: 0, audit: 0 },
    damaged: 0,
    afterCrash: false,
    isClosing: false,
  });
  return whole;
}

/** A frame that is taken for whole is written again as the very same bytes; anything else is damaged, never an error. */
export const spoolFrameTarget: FuzzTarget = {
  name: 'spool-frame',
  seeds: [frame(LINE), frame(LINE + LINE), frame('')],
  tokens: ['#palisade1 ', '\n', '"first":', '"bytes":0', '"crc":0', '{}', LINE],
  run(bytes) {
    const start = decodeHeader(bytes);
    if (start.kind === 'damaged') return;
    const body = bytes.subarray(HEADER_BYTES, HEADER_BYTES + start.header.bytes);
    if (!isBodyOf(start.header, body)) return;
    assert.ok(recordsOf(body).length <= MAX_BLOCK_BYTES / LINE.length);
    const again = Buffer.concat([Buffer.alloc(HEADER_BYTES), body]);
    encodeHeader(again, body, start.header);
    assert.deepEqual(again, bytes.subarray(0, again.length));
  },
};
