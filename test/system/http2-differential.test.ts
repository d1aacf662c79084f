// What reaches the application for a request that came in HTTP/2 is read by every server as one and the same request, the one
// that policy judged: as HTTP/2 by node:http2 and nginx, translated by node:http, nginx and Python's http.server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createH2Server } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { H2Connection, type H2RequestHead } from '#protocol';
import { FLAG, FRAME } from '../../src/protocol/http2/frames.ts';
import { block, frame, HELLO } from '../../src/protocol/http2/raw-frames.ts';
import {
  createFakeMesh,
  fakePolicy,
  fakeService,
  fakeSnapshot,
} from '../../src/proxy/fake-mesh.ts';
import { createFakePair, type FakePair } from '../../src/proxy/fake-pair.ts';
import { ACCEPTED_H2, type AcceptedH2Request } from '../corpus/http2-accepted.ts';
import {
  askTeller,
  comparable,
  startCapture,
  startTellers,
  type Tellers,
  type Told,
} from './telling-servers.ts';
import { until } from './until.ts';

const closers: (() => unknown)[] = [];
let tellers: Tellers;
/** The same requests to an application of either version, whose bytes are kept. */
let asHttp2: FakePair;
let asHttp1: FakePair;
let bytesOfHttp2 = Buffer.alloc(0);
let textOfHttp1 = '';
let nodeHttp2 = 0;
let lastOfNode: Told | undefined;

before(async () => {
  tellers = await startTellers();
  nodeHttp2 = await startNodeHttp2();
  asHttp2 = await pairBefore('http2', await startCaptureOfHttp2());
  const capture = await startCapture((text) => {
    textOfHttp1 = text;
  });
  asHttp1 = await pairBefore('http', capture.port);
  closers.push(tellers.close, capture.close);
});
after(async () => {
  for (const close of closers.reverse()) await close();
});

describe('one request in HTTP/2 to every server', () => {
  test('nginx is there to be asked', (context) => {
    if (tellers.nginxHttp2 === undefined) return context.skip('needs nginx');
    assert.ok(tellers.readers.some(({ name }) => name === 'nginx'));
  });

  for (const request of ACCEPTED_H2) {
    test(`${request.name}, as HTTP/2`, () => checkHttp2(request));
    test(`${request.name}, translated`, () => checkHttp1(request));
  }
});

async function checkHttp2(request: AcceptedH2Request): Promise<void> {
  await sendThrough(asHttp2, request);
  const bytes = bytesOfHttp2;
  lastOfNode = undefined;
  const tellings = [await replay(bytes, nodeHttp2, () => lastOfNode)];
  // nginx 1.22 refuses request trailers in HTTP/2, and refused is not read otherwise.
  if (tellers.nginxHttp2 !== undefined && request.trailers === undefined) {
    const before = tellers.lastOfNginx();
    const told = () => (tellers.lastOfNginx() === before ? undefined : tellers.lastOfNginx());
    tellings.push(await replay(bytes, tellers.nginxHttp2, told));
  }
  checkTold(request, tellings, asHttp2);
}

async function checkHttp1(request: AcceptedH2Request): Promise<void> {
  textOfHttp1 = '';
  await sendThrough(asHttp1, request);
  const tellings: Told[] = [];
  for (const { port } of tellers.readers) tellings.push(await askTeller(port, textOfHttp1));
  checkTold(request, tellings, asHttp1);
}

/** All tell the same, which is what was sent and what policy judged. */
function checkTold(sent: AcceptedH2Request, tellings: readonly Told[], { orders }: FakePair): void {
  const judged = orders.records.at(-1);
  assert.equal(judged?.status, 200);
  const fields = new Map<string, string[]>();
  for (let at = 0; at < sent.fields.length; at += 2) {
    const name = sent.fields[at] as string;
    fields.set(name, [...(fields.get(name) ?? []), sent.fields[at + 1] as string]);
  }
  const [first] = tellings;
  assert.ok(first !== undefined);
  for (const told of tellings) {
    assert.equal(told.method, fields.get(':method')?.[0]);
    assert.equal(told.target, fields.get(':path')?.[0]);
    assert.equal(Buffer.from(told.body, 'hex').toString('latin1'), (sent.data ?? []).join(''));
    assert.deepEqual(readFields(told), readFields(first));
  }
  const read = readFields(first);
  assert.equal(judged?.path, first.target.replace(/\?.*/s, ''));
  assert.deepEqual(read['host'], [judged?.host], 'the host that policy judged');
  for (const [name, values] of fields) {
    if (name.startsWith(':') || UNLIKE.has(name)) continue;
    assert.deepEqual(read[name], name === 'cookie' ? [values.join('; ')] : values, name);
  }
  for (const name of GONE) assert.equal(read[name], undefined, name);
}

/** Of an own kind in one version or the other, or a sidecar's to say. */
const GONE = ['connection', 'te', 'x-palisade-reason', 'x_forwarded_client_cert'];
const UNLIKE = new Set([...GONE, 'host', 'content-length']);

function readFields(told: Told): Record<string, string[]> {
  const { te: _, ...fields } = comparable(told);
  // RFC 9113 section 8.2.3: crumbs are one field to whoever reads HTTP/1.1.
  if (fields['cookie'] !== undefined) fields['cookie'] = [fields['cookie'].join('; ')];
  return fields;
}

/** Sends a request to the caller's sidecar, frame by frame, and waits for the head of its answer. */
async function sendThrough({ caller }: FakePair, request: AcceptedH2Request): Promise<void> {
  const { fields, data, trailers } = request;
  const parts = [HELLO];
  const head = block(fields);
  const isLast = data === undefined && trailers === undefined;
  parts.push(...headerFrames(head, isLast));
  for (const [index, text] of (data ?? []).entries()) {
    const isEnd = index === (data?.length ?? 0) - 1 && trailers === undefined;
    parts.push(frame(FRAME.DATA, isEnd ? FLAG.END_STREAM : 0, 1, text));
  }
  if (trailers !== undefined) parts.push(...headerFrames(block(trailers), true));
  const socket = connect(caller.outboundPort ?? 0, '127.0.0.1');
  let seen = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk]);
  });
  socket.write(Buffer.concat(parts));
  await until('an answer', () => hasFrame(seen, FRAME.HEADERS), SOON);
  socket.destroy();
}

const MAX_FRAME = 16_384;

// There are hundreds of them.
const SOON = { withinMs: 10_000, everyMs: 2 };

function headerFrames(bytes: Buffer, isEnd: boolean): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += MAX_FRAME) {
    const type = at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION;
    const flags =
      (at + MAX_FRAME >= bytes.length ? FLAG.END_HEADERS : 0) |
      (at === 0 && isEnd ? FLAG.END_STREAM : 0);
    frames.push(frame(type, flags, 1, bytes.subarray(at, at + MAX_FRAME)));
  }
  return frames;
}

function hasFrame(bytes: Buffer, type: number): boolean {
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === type) return true;
  }
  return false;
}

/** Sends what the application got to another server, byte for byte, and waits until it told. */
async function replay(bytes: Buffer, port: number, told: () => Told | undefined): Promise<Told> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {
    // Looked at by what was told.
  });
  socket.resume();
  socket.write(bytes);
  const found = await until('what it read', told, SOON);
  socket.destroy();
  return found;
}

async function pairBefore(protocol: 'http' | 'http2', port: number): Promise<FakePair> {
  const mesh = createFakeMesh();
  const inbound = [{ protocol }];
  const service = fakeService(mesh, 'a', {
    account: 'orders',
    ports: [{ port: 80, name: 'main', protocol }],
  });
  const pair = await createFakePair({
    mesh,
    service,
    inbound,
    application: { port },
  });
  const policies = [fakePolicy('ALLOW', 'everybody', {})];
  pair.orders.snapshots.set(fakeSnapshot(mesh, { service: 'a', policies, inbound }));
  closers.push(() => pair.close());
  return pair;
}

/** An application that keeps all bytes of a connection up to the end of its first request, and takes no second one. */
async function startCaptureOfHttp2(): Promise<number> {
  return listen(
    createServer((socket) => {
      socket.on('error', () => {
        // The proxy lets it go.
      });
      let bytes = Buffer.alloc(0);
      const write = (): void => {
        for (let out = connection.takeOutput(); out !== undefined; out = connection.takeOutput()) {
          socket.write(Buffer.from(out));
          connection.release(out);
        }
      };
      const connection: H2Connection = new H2Connection({
        role: 'server',
        events: {
          onOutput: () => setImmediate(write),
          onRefused: () => undefined,
          onRequest(stream, _: H2RequestHead | 'tooLarge', isEnd) {
            const end = (): void => {
              bytesOfHttp2 = bytes;
              connection.respond(stream, [':status', '200'], true);
              connection.shutdown();
            };
            if (isEnd) end();
            return {
              onData(_chunk, start, until, isLast) {
                connection.credit(stream, until - start);
                if (isLast) end();
              },
              onTrailers: end,
              onReset: () => undefined,
              onDrain: () => undefined,
            };
          },
        },
      });
      connection.start();
      socket.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        connection.receive(chunk, performance.now());
      });
    }),
  );
}

async function startNodeHttp2(): Promise<number> {
  const server = createH2Server();
  server.on('stream', (stream, headers, _flags, raw: readonly string[]) => {
    const body: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => body.push(chunk));
    stream.on('error', () => {
      // Looked at by what was told.
    });
    stream.on('end', () => {
      const fields: (readonly [string, string])[] = [['host', `${headers[':authority']}`]];
      for (let at = 0; at < raw.length; at += 2) {
        const name = raw[at] as string;
        if (!name.startsWith(':')) fields.push([name, raw[at + 1] as string]);
      }
      lastOfNode = {
        method: `${headers[':method']}`,
        target: `${headers[':path']}`,
        fields,
        body: Buffer.concat(body).toString('hex'),
      };
      stream.respond({ ':status': 200 }, { endStream: true });
    });
  });
  return listen(server as unknown as Server);
}

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
