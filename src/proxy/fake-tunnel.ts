// A tunnel's client end without a proxy around it, for tests: it sends what a proxy never would.
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { WorkloadIdentity } from '#identity';
import { H2Connection, type H2Stream } from '#protocol';

/** What came of one stream. */
export type FakeStream = {
  readonly stream: H2Stream;
  /** Status of the answer to CONNECT, or undefined while there is none. */
  readonly status: () => number | undefined;
  readonly text: () => string;
  readonly ended: () => boolean;
  readonly send: (text: string) => void;
};

/** A connection that speaks HTTP/2 as it is told to. */
export type FakeTunnel = {
  readonly socket: TLSSocket;
  readonly connection: H2Connection;
  readonly open: (fields: readonly string[], isEnd?: boolean) => FakeStream;
  /** Resolves once `condition` holds; rejects when the connection ends before. */
  readonly until: (condition: () => boolean) => Promise<void>;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
};

/** Connects; without an identity no certificate is shown. */
export async function createFakeTunnel(
  port: number | undefined,
  identity: WorkloadIdentity | undefined,
): Promise<FakeTunnel> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: port ?? 0,
    key: identity?.privateKeyPem,
    cert: identity?.chainPem,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  });
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const check of Array.from(waiting)) check();
  };
  socket.on('error', () => {
    // Being cut off is what hostile peers are for.
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([new Promise((resolve) => socket.once('secureConnect', resolve)), closed]);
  const connection = new H2Connection({
    role: 'client',
    events: {
      onOutput: () => setImmediate(flush),
      onRefused: () => undefined,
    },
  });
  function flush(): void {
    const out = connection.takeOutput();
    if (out !== undefined && socket.writable) socket.write(Buffer.from(out));
  }
  connection.start();
  socket.on('data', (chunk: Buffer) => {
    connection.receive(chunk, performance.now());
    look();
  });
  socket.on('close', () => {
    connection.closed();
    look();
  });
  return {
    socket,
    connection,
    closed,
    open: (fields, isEnd = false) => openStream(connection, fields, isEnd),
    until: (condition) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (condition()) resolve();
          else if (socket.closed) reject(new Error('the connection ended'));
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
  };
}

function openStream(
  connection: H2Connection,
  fields: readonly string[],
  isEnd: boolean,
): FakeStream {
  let status: number | undefined;
  let text = '';
  let ended = false;
  const stream = connection.open(fields, isEnd, {
    onResponse(head, isLast) {
      status = head.status;
      ended ||= isLast;
    },
    onData(chunk, start, end, isLast) {
      text += chunk.toString('latin1', start, end);
      ended ||= isLast;
    },
    onTrailers: () => undefined,
    onReset() {
      ended = true;
    },
    onDrain: () => undefined,
  });
  if (stream === undefined) throw new Error('the connection takes no stream');
  return {
    stream,
    status: () => status,
    text: () => text,
    ended: () => ended,
    send(more) {
      const bytes = Buffer.from(more, 'latin1');
      connection.sendData(stream, bytes, 0, bytes.length, false);
    },
  };
}
