// A gRPC caller and a gRPC server on our own codec, so that what they cost is little and does not change: unary calls of
// 100 bytes, answered with 100 bytes. `node bench/grpc-peer.ts PORT` is the server.
import { connect, createServer, type Socket } from 'node:net';
import { H2Connection, type H2Events, type H2StreamSink } from '#protocol';

const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 100]), Buffer.alloc(100, 'x')]);
const CALL = [
  ':method',
  'POST',
  ':scheme',
  'http',
  ':authority',
  'orders',
  ':path',
  '/shop.Orders/Take',
  'content-type',
  'application/grpc',
  'te',
  'trailers',
  'user-agent',
  'grpc-bench/1.0',
  'grpc-timeout',
  '5S',
];
const WIDE = { streamWindow: 1 << 20, connectionWindow: 1 << 24, maxStreams: 1_000 };

function carry(
  socket: Socket,
  role: 'client' | 'server',
  events: Omit<H2Events, 'onOutput' | 'onRefused'>,
): H2Connection {
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    for (;;) {
      const out = connection.takeOutput();
      if (out === undefined) return;
      socket.write(out, () => connection.release(out));
    }
  };
  const connection: H2Connection = new H2Connection({
    role,
    limits: WIDE,
    events: {
      ...events,
      onOutput() {
        if (scheduled) return;
        scheduled = true;
        setImmediate(flush);
      },
      onRefused: (error) => console.error(`${role}: ${error}`),
    },
  });
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => connection.receive(chunk, performance.now()));
  socket.on('error', () => socket.destroy());
  socket.on('close', () => connection.closed());
  connection.start();
  return connection;
}

/** What a load of calls came to. */
export type Load = { readonly calls: number; readonly failed: number; readonly p50Us: number };

/** Keeps `streams` unary calls under way on one connection to `port` for `ms` milliseconds. */
export function callFor(port: number, streams: number, ms: number): Promise<Load> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const times: number[] = [];
    let failed = 0;
    const until = performance.now() + ms;
    let underWay = 0;
    const finish = (): void => {
      if (underWay > 0) return;
      socket.destroy();
      const sorted = times.toSorted((a, b) => a - b);
      const p50 = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
      resolve({ calls: times.length, failed, p50Us: p50 * 1000 });
    };
    const call = (): void => {
      if (performance.now() > until) return finish();
      const startedAt = performance.now();
      const end = (isFine: boolean): void => {
        underWay--;
        if (isFine) times.push(performance.now() - startedAt);
        else failed++;
        if (failed > 100) reject(new Error('too many calls fail'));
        else call();
      };
      const sink: H2StreamSink = {
        onData: () => undefined,
        onTrailers: (fields) => end(fields[fields.indexOf('grpc-status') + 1] === '0'),
        onReset: () => end(false),
        onResponse: (_head, isEnd) => isEnd && end(false),
        onDrain: () => undefined,
      };
      underWay++;
      const stream = client.open(CALL, false, sink);
      if (stream === undefined) reject(new Error('no stream'));
      else client.sendData(stream, MESSAGE, 0, MESSAGE.length, true);
    };
    const client = carry(socket, 'client', {});
    socket.once('connect', () => {
      for (let i = 0; i < streams; i++) call();
    });
    socket.once('error', reject);
  });
}

function serve(port: number): void {
  createServer((socket) => {
    const connection = carry(socket, 'server', {
      onRequest(stream) {
        const answer = (): void => {
          connection.respond(stream, [':status', '200', 'content-type', 'application/grpc'], false);
          connection.sendData(stream, MESSAGE, 0, MESSAGE.length, false);
          connection.sendTrailers(stream, ['grpc-status', '0']);
        };
        return {
          onData: (_chunk, _start, _end, isEnd) => isEnd && answer(),
          onTrailers: answer,
          onReset: () => undefined,
          onDrain: () => undefined,
        };
      },
    });
  }).listen(port, '127.0.0.1');
}

const port = process.argv[2];
if (process.argv[1]?.endsWith('grpc-peer.ts') === true && port !== undefined) serve(Number(port));
