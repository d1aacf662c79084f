import { FLAG, FRAME, PREFACE } from './frames.ts';
import { HpackEncoder } from './hpack-encoder.ts';

// Frames byte by byte, as an attacker writes them; for tests.

/** One frame. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Buffer | string = '',
): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

/** A frame whose payload is one number. */
export function word(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value >>> 0);
  return frame(type, 0, streamId, payload);
}

/** Pairs of setting and value. */
export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [at, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, at * 6);
    payload.writeUInt32BE(value >>> 0, at * 6 + 2);
  }
  return frame(FRAME.SETTINGS, 0, 0, payload);
}

/** A header block without any table: each field a literal. */
export function block(fields: readonly string[]): Buffer {
  const out = Buffer.alloc(200_000);
  let at = 0;
  for (const [index, text] of fields.entries()) {
    if (index % 2 === 0) out[at++] = 0;
    const bytes = Buffer.from(text, 'latin1');
    if (bytes.length < 127) out[at++] = bytes.length;
    else {
      out[at++] = 127;
      let rest = bytes.length - 127;
      for (; rest >= 128; rest >>>= 7) out[at++] = (rest & 127) | 128;
      out[at++] = rest;
    }
    at += bytes.copy(out, at);
  }
  return out.subarray(0, at);
}

/** A header block as our own encoder writes it, with a table of its own. */
export function compressed(fields: readonly string[]): Buffer {
  const encoder = new HpackEncoder();
  const out = Buffer.alloc(encoder.bound(fields));
  return out.subarray(0, encoder.encode(fields, out, 0));
}

/** HEADERS with a whole block. */
export function headers(streamId: number, payload: Buffer, isEnd = true): Buffer {
  return frame(FRAME.HEADERS, FLAG.END_HEADERS | (isEnd ? FLAG.END_STREAM : 0), streamId, payload);
}

/** What every connection begins with. */
export const HELLO: Buffer = Buffer.concat([
  PREFACE,
  settings(),
  frame(FRAME.SETTINGS, FLAG.ACK, 0),
]);

/** The fields of a GET of `/`. */
export const GET_FIELDS: readonly string[] = [
  ':method',
  'GET',
  ':scheme',
  'http',
  ':path',
  '/',
  ':authority',
  'orders',
];
