// What reaches the application is read by node:http, Debian's nginx and Python's http.server as one and the same request:
// the one that policy judged.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, createServer as createRawServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PathNormalization } from '#lib';
import {
  createFakeMesh,
  fakePolicy,
  fakeService,
  fakeSnapshot,
} from '../../src/proxy/fake-mesh.ts';
import { createFakePair, type FakePair, talk } from '../../src/proxy/fake-pair.ts';
import { ACCEPTED, type AcceptedRequest } from '../corpus/http1-accepted.ts';
import { waitFor } from './guarded-service.ts';
import { findProgram, freePort, type Running, start } from './mesh.ts';

/** A request as a server tells it; the body in hexadecimal. */
type Told = {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
};

const PYTHON_SERVER = fileURLToPath(new URL('differential-server.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'palisade-differential-'));
const closers: (() => unknown)[] = [];
const readers: { name: string; port: number }[] = [];
const pairs = new Map<PathNormalization, FakePair>();
let captured = '';

before(async () => {
  readers.push({ name: 'node:http', port: await startNode() });
  const recorder = await startRecorder();
  readers.push({ name: 'python', port: await startPython() });
  if ((await findProgram('nginx')) !== undefined)
    readers.push({ name: 'nginx', port: await startNginx(recorder) });
});
after(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

describe('one request to every server', () => {
  test('nginx is there to be asked', async (context) => {
    if ((await findProgram('nginx')) === undefined) return context.skip('needs nginx');
    assert.ok(readers.some(({ name }) => name === 'nginx'));
  });

  for (const request of ACCEPTED) {
    test(JSON.stringify(request.raw).slice(0, 100), async () => check(request));
  }
});

async function check(request: AcceptedRequest): Promise<void> {
  const pair = await pairFor(request.paths ?? 'STRICT');
  captured = '';
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const answer = await talk(socket, Buffer.from(request.raw, 'latin1'), (text) =>
    text.includes('\r\n\r\n'),
  );
  socket.destroy();
  assert.match(answer, /^HTTP\/1\.1 200 /);
  const judged = pair.orders.records.at(-1);
  assert.equal(judged?.path, request.target.replace(/\?.*/s, ''));
  const tellings: Told[] = [];
  for (const { name, port } of readers) {
    // Refused is not read otherwise, and nginx serves no `*`.
    if (name === 'nginx' && request.target === '*') continue;
    const told = await ask(port, captured);
    assert.equal(told.method, request.method, name);
    assert.equal(told.target, request.target, name);
    assert.equal(Buffer.from(told.body, 'hex').toString('latin1'), request.body, name);
    tellings.push(told);
    assert.deepEqual(comparable(told), comparable(tellings[0] as Told), `${name} and node:http`);
  }
  const fields = comparable(tellings[0] as Told);
  assert.deepEqual(fields['host'], [judged?.host], 'the host that policy judged');
  for (const name of ['connection', 'upgrade', 'te', 'keep-alive', 'x-gone', 'x-palisade-reason'])
    assert.equal(fields[name], undefined, name);
}

/** Values by name in lower case, in order; framing is each server's own business to tell. */
function comparable({ fields }: Told): Record<string, string[]> {
  const byName: Record<string, string[]> = {};
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (key === 'content-length' || key === 'transfer-encoding') continue;
    (byName[key] ??= []).push(value.replace(/^[\t ]+|[\t ]+$/g, ''));
  }
  return byName;
}

/** A pair whose application keeps the bytes of a request until it is whole. */
async function pairFor(mode: PathNormalization): Promise<FakePair> {
  const known = pairs.get(mode);
  if (known !== undefined) return known;
  const application = await listen(
    createRawServer((socket) => {
      socket.on('error', () => {
        // The proxy lets it go.
      });
      whenWhole(socket, (text) => {
        captured = text;
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      });
    }),
  );
  const mesh = createFakeMesh();
  const policies = [fakePolicy('ALLOW', 'everybody', {})];
  const service = { ...fakeService(mesh, 'a', { account: 'orders' }), pathNormalization: mode };
  const pair = await createFakePair({
    mesh,
    application: { port: application },
    service,
    policies,
  });
  const snapshot = fakeSnapshot(mesh, { service: 'a', policies, pathNormalization: mode });
  pair.orders.snapshots.set(snapshot);
  closers.push(() => pair.close());
  pairs.set(mode, pair);
  return pair;
}

async function ask(port: number, raw: string): Promise<Told> {
  const socket = connect(port, '127.0.0.1');
  const text = await talk(socket, Buffer.from(raw, 'latin1'), (seen) => {
    const [head = '', ...rest] = seen.split('\r\n\r\n');
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    return length !== undefined && rest.join('\r\n\r\n').length >= Number(length);
  });
  socket.destroy();
  assert.match(text, /^HTTP\/1\.[01] 200 /, `${text}\nfor ${JSON.stringify(raw)}`);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  return JSON.parse(Buffer.from(body, 'latin1').toString()) as Told;
}

async function startNode(): Promise<number> {
  const server = createServer((request, response) => {
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.on('end', () => {
      const { method = '', url: target = '', rawHeaders } = request;
      const fields = rawHeaders.flatMap((name, i) =>
        i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? '']] : [],
      );
      const told = { method, target, fields, body: Buffer.concat(body).toString('hex') };
      const text = Buffer.from(JSON.stringify(told));
      response.writeHead(200, { 'content-length': text.length }).end(text);
    });
  });
  return listen(server);
}

async function startPython(): Promise<number> {
  const port = await freePort();
  stopLater(start(['python3', PYTHON_SERVER, String(port)]));
  await waitFor(() => accepts(port));
  return port;
}

/** nginx passes on what it read; what it then writes is plain, and told by `startRecorder`. */
async function startNginx(recorder: number): Promise<number> {
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  writeFileSync(
    file,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr error; events {}
http { access_log off; ${temp} large_client_header_buffers 4 64k;
  underscores_in_headers on; ignore_invalid_headers off;
  server { listen 127.0.0.1:${port};
    location / { proxy_pass http://127.0.0.1:${recorder}; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection ""; } } }
`,
  );
  const nginx = (await findProgram('nginx')) ?? 'nginx';
  stopLater(start([nginx, '-p', folder, '-c', file]));
  await waitFor(() => accepts(port));
  return port;
}

/** Tells what nginx wrote, which has one space, one length and no tricks. */
async function startRecorder(): Promise<number> {
  return listen(
    createRawServer((socket) => {
      socket.on('error', () => {
        // nginx lets it go.
      });
      whenWhole(socket, (text) => {
        const end = text.indexOf('\r\n\r\n');
        const [line = '', ...lines] = text.slice(0, end).split('\r\n');
        const [method = '', target = ''] = line.split(' ');
        const fields = lines.map((each) => {
          const colon = each.indexOf(':');
          return [each.slice(0, colon), each.slice(colon + 1)];
        });
        const body = Buffer.from(text.slice(end + 4), 'latin1').toString('hex');
        const told = Buffer.from(JSON.stringify({ method, target, fields, body }));
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${told.length}\r\n\r\n`);
        socket.end(told);
      });
    }),
  );
}

function whenWhole(socket: Socket, done: (text: string) => void): void {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = text.slice(0, end);
    const length = Number(/\r\ncontent-length:\s*(\d+)/i.exec(head)?.[1] ?? 0);
    // Every chunked body here ends so, and only one has this in its middle.
    const isChunked = /\r\ntransfer-encoding:\s*chunked/i.test(head);
    const isOver = isChunked
      ? /(?:^|\r\n)0+(?:;\w+)?\r\n\r\n$/.test(text.slice(end + 4))
      : text.length >= end + 4 + length;
    if (!isOver) return;
    done(text);
    text = '';
  });
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return (server.address() as { port: number }).port;
}

function stopLater(running: Running): void {
  closers.push(() => running.stop());
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
