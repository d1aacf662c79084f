// The HTTP/2 codec alone: calls that one thread carries as client and server, and what floods cost it.
import { H2Connection, type H2StreamSink } from '#protocol';
import { FRAME } from '../src/protocol/http2/frames.ts';
import {
  block,
  frame,
  GET_FIELDS,
  HELLO,
  headers,
  settings,
  word,
} from '../src/protocol/http2/raw-frames.ts';

const CALLS = 200_000;
const FRAMES = 20_000;

/** Runs the benchmark and prints its tables. */
export default async function run(): Promise<void> {
  exchange(20_000);
  const perCallUs = exchange(CALLS);
  console.table([
    { what: 'a call, both sides: head, 1 kB, answer, trailers', µs: perCallUs.toFixed(2) },
    { what: '1 MB of DATA, both sides', µs: bulk().toFixed(0) },
  ]);
  console.table(
    Object.entries(FLOODS).map(([name, next]) => ({
      [`${FRAMES} frames of`]: name,
      ...flood(next),
    })),
  );
  console.log(`http2 ${perCallUs.toFixed(2)} µs a call in the codec, both sides`);
}

const FIELDS = [...GET_FIELDS, 'content-type', 'application/grpc', 'te', 'trailers'];
const NOTHING: H2StreamSink = {
  onData: () => undefined,
  onTrailers: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined,
};

function createPair(onCall: (answer: () => void) => void) {
  const body = Buffer.alloc(1024, 'x');
  const events = { onOutput: () => undefined, onRefused: () => undefined };
  const wide = { streamWindow: 1 << 24, connectionWindow: 1 << 26, maxStreams: 1_000 };
  const client = new H2Connection({ role: 'client', limits: wide, events });
  const server: H2Connection = new H2Connection({
    role: 'server',
    limits: wide,
    events: {
      ...events,
      onRequest(stream) {
        onCall(() => {
          server.respond(stream, [':status', '200', 'content-type', 'application/grpc'], false);
          server.sendData(stream, body, 0, body.length, false);
          server.sendTrailers(stream, ['grpc-status', '0']);
        });
        return NOTHING;
      },
    },
  });
  client.start();
  server.start();
  const pass = (from: H2Connection, to: H2Connection): boolean => {
    const out = from.takeOutput();
    if (out === undefined) return false;
    to.receive(out, performance.now());
    from.release(out);
    return true;
  };
  return { client, body, run: () => pass(client, server) || pass(server, client) };
}

function exchange(calls: number): number {
  const { client, body, run } = createPair((answer) => answer());
  const startedAt = performance.now();
  for (let done = 0; done < calls; done += 16) {
    for (let i = 0; i < 16; i++) {
      const stream = client.open(FIELDS, false, NOTHING);
      if (stream !== undefined) client.sendData(stream, body, 0, body.length, true);
    }
    while (run());
  }
  return ((performance.now() - startedAt) * 1000) / calls;
}

function bulk(): number {
  const { client, run } = createPair(() => undefined);
  const megabyte = Buffer.alloc(1 << 20);
  while (run());
  const stream = client.open(FIELDS, false, NOTHING);
  if (stream === undefined) return Number.NaN;
  const startedAt = performance.now();
  for (let i = 0; i < 12; i++) {
    client.sendData(stream, megabyte, 0, megabyte.length, false);
    while (run());
  }
  return ((performance.now() - startedAt) * 1000) / 12;
}

const GET = block(GET_FIELDS);
const FLOODS: Readonly<Record<string, (index: number) => Buffer>> = {
  'rapid reset': (i) =>
    Buffer.concat([headers(2 * i + 1, GET), word(FRAME.RST_STREAM, 2 * i + 1, 8)]),
  SETTINGS: () => settings([4, 1]),
  PING: () => frame(FRAME.PING, 0, 0, '12345678'),
  PRIORITY: (i) => frame(FRAME.PRIORITY, 0, 2 * i + 1, '\0\0\0\0\0'),
  WINDOW_UPDATE: () => word(FRAME.WINDOW_UPDATE, 0, 1),
  'unknown types': () => frame(0xfa, 0, 0, 'x'),
  'more streams than allowed': (i) => headers(2 * i + 1, GET),
};

function flood(next: (index: number) => Buffer): Readonly<Record<string, unknown>> {
  const all = Buffer.concat(Array.from({ length: FRAMES }, (_, index) => next(index)));
  let streams = 0;
  const connection = new H2Connection({
    role: 'server',
    events: {
      onOutput: () => undefined,
      onRefused: () => undefined,
      onRequest() {
        streams++;
        return NOTHING;
      },
    },
  });
  connection.start();
  connection.receive(HELLO, 0);
  const before = process.cpuUsage();
  for (let at = 0; at < all.length; at += 65_536)
    connection.receive(all.subarray(at, at + 65_536), 0);
  const { user, system } = process.cpuUsage(before);
  return {
    'CPU s': ((user + system) / 1e6).toFixed(4),
    'ended by': connection.failed?.error ?? '(goes on)',
    streams,
  };
}
