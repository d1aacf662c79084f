import assert from 'node:assert/strict';
import { BodyReader } from '#protocol';
import { bytesOf, type FuzzTarget, pieces } from '../target.ts';

/** Chunked bodies: the cuts change nothing, and what is accepted fits the grammar to the byte. */
export const http1BodyTarget: FuzzTarget = {
  name: 'http1-body',
  seeds: bytesOf(
    '0\r\n\r\n',
    '5\r\nhello\r\n0\r\n\r\n',
    'A;name=value\r\n0123456789\r\n00\r\nX: y\r\nZ:\r\n\r\nrest',
    '1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n',
    // An extension with two values was let through once.
    '1;a=b=c\r\nx\r\n0\r\n\r\n',
  ),
  tokens: ['\r\n', '0\r\n', '\r\n0\r\n\r\n', '5', 'f', ';', ';a=b', 'X: y\r\n', 'Host: a\r\n'],
  run(bytes) {
    const whole = read([bytes]);
    for (const round of [0, 1]) assert.equal(read(pieces(bytes, round)), whole);
    const [outcome, end] = whole.split(' ');
    if (outcome === 'complete') assert.equal(grammarEnd(bytes.toString('latin1')), Number(end));
  },
};

/** How it ended, and after how many bytes. */
function read(chunks: readonly Buffer[]): string {
  const body = new BodyReader();
  body.start({ kind: 'chunked' });
  let passed = 0;
  for (const chunk of chunks) {
    passed += body.read(chunk, 0);
    // Of a chunk with an error in it nothing is passed on, so how much depends on the cuts.
    if (body.error !== undefined) return body.error;
    if (body.complete) return `complete ${passed}`;
  }
  return 'more';
}

const SIZE_LINE = /([0-9A-Fa-f]{1,13})(?:;[^\s"=;]+(?:=[^\s"=;]+)?)*\r\n/y;
const TRAILER = /[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n/y;

/** Where RFC 9112 section 7.1 says that the body ends, read another way; -1 if it does not. */
function grammarEnd(text: string): number {
  let at = 0;
  for (;;) {
    SIZE_LINE.lastIndex = at;
    const line = SIZE_LINE.exec(text);
    if (line === null) return -1;
    at += line[0].length;
    const size = Number.parseInt(line[1] ?? '', 16);
    if (size === 0) break;
    if (text.slice(at + size, at + size + 2) !== '\r\n') return -1;
    at += size + 2;
  }
  for (;;) {
    if (text.startsWith('\r\n', at)) return at + 2;
    TRAILER.lastIndex = at;
    const trailer = TRAILER.exec(text);
    if (trailer === null) return -1;
    at += trailer[0].length;
  }
}
