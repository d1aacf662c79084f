import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { fail, ok, type Result } from '#lib';
import type { SinkSyslog } from '#resource';
import type { Evidence } from '../evidence.ts';
import { frameSyslog, syslogMessage } from '../formats/syslog.ts';
import { quoted, type Receiver, retry } from '../receiver.ts';
import type { Surroundings } from '../surroundings.ts';
import { readTls } from '../tls.ts';
import type { WriteLine } from './file.ts';

// A message that does not fit a datagram is cut: RFC 5426 section 3.2 asks receivers for no more than 2048 octets, and
// those in use take 8 KiB.
const MAX_DATAGRAM = 8 * 1024;
// Syslog has no acknowledgement. A server that went away answers what it is sent by a reset, within about this time.
const SETTLE_MS = 50;

/** Sends RFC 5424 messages by TLS (RFC 5425), TCP with octet counting (RFC 6587 3.4.1) or UDP (RFC 5426). */
export function createSyslog(
  receiver: SinkSyslog,
  surroundings: Surroundings,
  writeLine: WriteLine,
): Receiver {
  const url = new URL(receiver.endpoint);
  const to = { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port) };
  const origin = { ...receiver, hostname: surroundings.hostname };
  const write = (item: Evidence): Buffer => syslogMessage(item, writeLine(item), origin);
  if (url.protocol === 'udp:') return createDatagrams(to, surroundings, write);
  return createStream({ ...to, isTls: url.protocol === 'tls:' }, surroundings, write);
}

type Target = { readonly host: string; readonly port: number };
type WriteMessage = (item: Evidence) => Buffer;

function createStream(
  target: Target & { readonly isTls: boolean },
  surroundings: Surroundings,
  write: WriteMessage,
): Receiver {
  let open: Socket | undefined;
  // Lanes of one sink write one after the other, each a whole batch.
  let turn: Promise<unknown> = Promise.resolve();

  async function send(batch: readonly Evidence[], signal: AbortSignal): Promise<void> {
    if (open === undefined || !open.writable || open.destroyed) {
      open = await connect(target, surroundings, signal);
      // What a server sends is of no use, and has to be read for its end to be seen.
      open.resume();
    }
    await flush(open, Buffer.concat(batch.map((item) => frameSyslog(write(item)))), signal);
  }

  return {
    async deliver(batch, signal) {
      const mine = turn.then(() => send(batch, signal));
      turn = mine.catch(() => {
        // Whoever waits for its turn is not concerned by how this one ended.
      });
      try {
        await mine;
        return { kind: 'delivered' };
      } catch (error) {
        open?.destroy();
        open = undefined;
        return retry(`not delivered: ${quoted((error as Error).message)}`);
      }
    },
    close: () => open?.end(),
  };
}

async function connect(
  { host, port, isTls }: Target & { readonly isTls: boolean },
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Socket> {
  const address = await addressOf({ host, port }, surroundings);
  if (!address.ok) throw new Error(address.error);
  const tls = isTls ? readTls(surroundings) : undefined;
  if (tls?.ok === false) throw new Error(tls.error);
  return new Promise((resolve, reject) => {
    const name = surroundings.tls?.serverName ?? host;
    const servername = isIP(name) === 0 ? name : '';
    const options = { host: address.value, port, keepAlive: true };
    const socket = isTls
      ? connectTls({
          ...options,
          ...tls?.value,
          // RFC 5425 section 5.2: the certificate has to name whom we meant, not the address it resolved to.
          servername,
        })
      : connectTcp(options);
    const abort = () => socket.destroy(new Error('no connection in time'));
    signal.addEventListener('abort', abort, { once: true });
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', reject);
      // Heard by whoever writes; without a listener it would end the process.
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Resolves when the bytes have left and the server has had a moment to object. */
function flush(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null): void => {
      clearTimeout(settling);
      socket.removeListener('close', onClose);
      socket.removeListener('end', onClose);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined || error === null) resolve();
      else reject(error);
    };
    const onClose = () => done(new Error('the server closed the connection'));
    const onAbort = () => done(new Error('the server does not read'));
    let settling: NodeJS.Timeout | undefined;
    socket.once('close', onClose);
    socket.once('end', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.write(bytes, (error) => {
      if (error !== null && error !== undefined) return done(error);
      settling = setTimeout(done, SETTLE_MS);
    });
  });
}

function createDatagrams(
  target: Target,
  surroundings: Surroundings,
  write: WriteMessage,
): Receiver {
  let socket: UdpSocket | undefined;
  let family = 0;
  return {
    async deliver(batch) {
      const address = await addressOf(target, surroundings);
      if (!address.ok) return retry(address.error);
      if (socket === undefined || family !== isIP(address.value)) {
        socket?.close();
        family = isIP(address.value);
        socket = createSocket(family === 6 ? 'udp6' : 'udp4').unref();
        socket.on('error', () => {
          // Each send hears of its own error.
        });
      }
      for (const item of batch) {
        const error = await sendDatagram(socket, cutAtCharacter(write(item), MAX_DATAGRAM), {
          host: address.value,
          port: target.port,
        });
        if (error !== undefined) return retry(`not delivered: ${quoted(error.message)}`);
      }
      return { kind: 'delivered' };
    },
    close: () => socket?.close(),
  };
}

/** At most `length` bytes of UTF-8, the last character whole: a receiver may refuse a message that is not UTF-8. */
export function cutAtCharacter(bytes: Buffer, length: number): Buffer {
  if (bytes.length <= length) return bytes;
  let end = length;
  // RFC 3629 section 3: what continues a character begins with the bits 10.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

function sendDatagram(socket: UdpSocket, bytes: Buffer, to: Target): Promise<Error | undefined> {
  return new Promise((resolve) => {
    socket.send(bytes, to.port, to.host, (error) => resolve(error ?? undefined));
  });
}

async function addressOf(
  { host, port }: Target,
  { guard }: Surroundings,
): Promise<Result<string, string>> {
  const found = await guard
    .resolve(host, port)
    .catch((error: Error) => fail(quoted(error.message)));
  if (!found.ok) return fail(`not sent: ${found.error}`);
  const [first] = found.value;
  return first === undefined ? fail(`\`${host}\` has no address`) : ok(first);
}
