// What attackers send before, or instead of, a protocol; deterministic, so that a failing run can be repeated.
import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** How a connection ended: bytes answered, and whether the other side closed it within the time. */
export type Ended = { readonly answer: string; readonly closed: boolean };

/** Opens a connection, sends `bytes` in one go, and waits for its end, `waitMs` at most. */
export function send(
  to: NetConnectOpts,
  bytes: Buffer | string,
  options: { readonly waitMs?: number; readonly halfClose?: boolean } = {},
): Promise<Ended> {
  return converse(connect({ ...to, allowHalfOpen: true } as NetConnectOpts), bytes, options);
}

/** The same inside TLS, without a client certificate. */
export function sendInTls(
  to: { readonly port: number; readonly host: string },
  bytes: Buffer | string,
  options: { readonly waitMs?: number; readonly alpn?: string } = {},
): Promise<Ended> {
  const { alpn } = options;
  const socket = connectTls({
    ...to,
    rejectUnauthorized: false,
    ...(alpn === undefined ? {} : { ALPNProtocols: [alpn] }),
  });
  return converse(socket, bytes, options);
}

function converse(
  socket: Socket,
  bytes: Buffer | string,
  options: { readonly waitMs?: number; readonly halfClose?: boolean },
): Promise<Ended> {
  const { waitMs = 300, halfClose = false } = options;
  return new Promise((resolve) => {
    let answer = '';
    let closed = false;
    const limit = setTimeout(() => socket.destroy(), waitMs);
    socket.on('data', (chunk: Buffer) => {
      answer = `${answer}${chunk.toString('latin1')}`.slice(0, 10_000);
    });
    socket.on('error', () => {
      // A reset is an end like any other.
      closed = true;
    });
    socket.on('end', () => {
      closed = true;
      socket.end();
    });
    socket.on('close', () => {
      clearTimeout(limit);
      resolve({ answer, closed });
    });
    if (halfClose) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** Runs `work` for 0 to `count` - 1, `width` at a time. */
export async function inParallel(
  count: number,
  width: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}

/** `length` bytes that look random and are the same each time. */
export function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < length; i += 1) {
    // xorshift32.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 255;
  }
  return bytes;
}

/** The first bytes of a genuine TLS 1.3 handshake. */
export async function clientHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const caller = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'server',
    ALPNProtocols: ['h2'],
  });
  caller.on('error', () => {
    // Nobody answers it.
  });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  caller.destroy();
  socket.destroy();
  server.close();
  return hello;
}
