// Servers that tell how they read a request: node:http, Debian's nginx, Python's http.server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, createServer as createRawServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { talk } from '../../src/proxy/fake-pair.ts';
import { findProgram, freePort, type Running, start } from './mesh.ts';
import { until } from './until.ts';

/** A request as a server tells it; the body in hexadecimal. */
export type Told = {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
};

/** A server of HTTP/1.1 that answers with what it read. */
export type Teller = { readonly name: string; readonly port: number };

/** Those that this machine has. */
export type Tellers = {
  readonly readers: readonly Teller[];
  /** nginx's port of HTTP/2 with prior knowledge; undefined without nginx. */
  readonly nginxHttp2: number | undefined;
  /** What nginx read last, of either version. */
  readonly lastOfNginx: () => Told | undefined;
  readonly close: () => Promise<void>;
};

type Closers = (() => unknown)[];
type Nginx = { readonly port: number; readonly http2Port: number };

const PYTHON_SERVER = fileURLToPath(new URL('differential-server.py', import.meta.url));

/** Starts them. */
export async function startTellers(): Promise<Tellers> {
  const closers: Closers = [];
  let last: Told | undefined;
  const tell = (told: Told): void => {
    last = told;
  };
  const recorder = await startRecorder(tell, closers);
  const readers = [
    { name: 'node:http', port: await startNode(closers) },
    { name: 'python', port: await startPython(closers) },
  ];
  const hasNginx = (await findProgram('nginx')) !== undefined;
  const nginx = hasNginx ? await startNginx(recorder, closers) : undefined;
  if (nginx !== undefined) readers.push({ name: 'nginx', port: nginx.port });
  return {
    readers,
    nginxHttp2: nginx?.http2Port,
    lastOfNginx: () => last,
    async close() {
      for (const close of closers.toReversed()) await close();
    },
  };
}

/** An application of HTTP/1.1 that keeps the bytes of each request. */
export async function startCapture(
  capture: (text: string) => void,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const closers: Closers = [];
  const port = await listen(
    createRawServer((socket) => {
      socket.on('error', () => {
        // The proxy lets it go.
      });
      whenWhole(socket, (text) => {
        capture(text);
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      });
    }),
    closers,
  );
  return { port, close: () => closers.forEach((close) => close()) };
}

/** Values by name in lower case, in order; framing is each server's own business to tell. */
export function comparable({ fields }: Told): Record<string, string[]> {
  const byName: Record<string, string[]> = {};
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (key === 'content-length' || key === 'transfer-encoding') continue;
    (byName[key] ??= []).push(value.replace(/^[\t ]+|[\t ]+$/g, ''));
  }
  return byName;
}

/** Sends the bytes of a request to a teller. */
export async function askTeller(port: number, raw: string): Promise<Told> {
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

async function startNode(closers: Closers): Promise<number> {
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
  return listen(server, closers);
}

async function startPython(closers: Closers): Promise<number> {
  const port = await freePort();
  stopLater(start(['python3', PYTHON_SERVER, String(port)]), closers);
  await until('an open port', () => accepts(port));
  return port;
}

/** nginx passes on what it read; what it then writes is plain, and told by `startRecorder`. */
async function startNginx(recorder: number, closers: Closers): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-nginx-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const http2Port = await freePort();
  const file = join(folder, 'nginx.conf');
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  writeFileSync(
    file,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr error; events {}
http { access_log off; ${temp} large_client_header_buffers 4 64k; client_body_buffer_size 256k;
  underscores_in_headers on; ignore_invalid_headers off;
  server { listen 127.0.0.1:${port}; listen 127.0.0.1:${http2Port} http2;
    location / { proxy_pass http://127.0.0.1:${recorder}; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection ""; } } }
`,
  );
  const nginx = (await findProgram('nginx')) ?? 'nginx';
  stopLater(start([nginx, '-p', folder, '-c', file]), closers);
  await until('an open port', () => accepts(port));
  return { port, http2Port };
}

/** Tells what nginx wrote, which has one space, one length and no tricks. */
async function startRecorder(tell: (told: Told) => void, closers: Closers): Promise<number> {
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
          return [each.slice(0, colon), each.slice(colon + 1)] as const;
        });
        const body = Buffer.from(text.slice(end + 4), 'latin1').toString('hex');
        const told: Told = { method, target, fields, body };
        tell(told);
        const bytes = Buffer.from(JSON.stringify(told));
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`);
        socket.end(bytes);
      });
    }),
    closers,
  );
}

/** Calls back with each whole request that a connection brings, byte for byte. */
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
      ? /(?:^|\r\n)0+(?:;\w+)?\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(text.slice(end + 4))
      : text.length >= end + 4 + length;
    if (!isOver) return;
    done(text);
    text = '';
  });
}

async function listen(server: Server, closers: Closers): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return (server.address() as { port: number }).port;
}

function stopLater(running: Running, closers: Closers): void {
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
