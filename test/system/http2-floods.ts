// The floods that HTTP/2 servers were brought down with, frame by frame, and a service to aim them at.
import { FRAME, SETTING } from '../../src/protocol/http2/frames.ts';
import {
  block,
  frame,
  GET_FIELDS,
  HELLO,
  headers,
  settings,
  word,
} from '../../src/protocol/http2/raw-frames.ts';
import { allow } from './allow.ts';

/** Resources of a service `orders` that speaks HTTP/2 and that `web` may call. */
export const FLOODED_SERVICE = `
apiVersion: palisade.dev/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ name: main, port: 80, protocol: http2 }] }
${allow('orders', 'web')}`;

/** Frames of one flood. */
const FLOOD_FRAMES = 20_000;

/** The header block of a GET of `/`. */
export const GET: Buffer = block(GET_FIELDS);
const POST = block([':method', 'POST', ...GET_FIELDS.slice(2)]);

/** What each flood sends again and again, by its name. */
export const FLOODS: Readonly<Record<string, (index: number) => Buffer>> = {
  'rapid reset': (i) =>
    Buffer.concat([headers(2 * i + 1, GET), word(FRAME.RST_STREAM, 2 * i + 1, 8)]),
  'made-you-reset': (i) =>
    Buffer.concat([headers(2 * i + 1, GET), word(FRAME.WINDOW_UPDATE, 2 * i + 1, 0)]),
  SETTINGS: () => settings([SETTING.INITIAL_WINDOW_SIZE, 1]),
  PING: () => frame(FRAME.PING, 0, 0, '12345678'),
  PRIORITY: (i) => frame(FRAME.PRIORITY, 0, 2 * i + 1, '\0\0\0\0\0'),
  WINDOW_UPDATE: () => word(FRAME.WINDOW_UPDATE, 0, 1),
  'unknown frames': () => frame(0xfa, 0, 0, 'x'),
  'empty DATA': (i) => (i === 0 ? headers(1, POST, false) : frame(FRAME.DATA, 0, 1)),
  CONTINUATION: (i) => frame(i === 0 ? FRAME.HEADERS : FRAME.CONTINUATION, 0, 1),
  'streams at once': (i) => headers(2 * i + 1, GET),
};

/** All bytes of a flood's connection, its preface included. */
export function floodOf(next: (index: number) => Buffer): Buffer {
  const frames = Array.from({ length: FLOOD_FRAMES }, (_, index) => next(index));
  return Buffer.concat([HELLO, ...frames]);
}
