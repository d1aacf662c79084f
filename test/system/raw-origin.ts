// An application of the test's own: keeps every byte it gets and answers byte for byte as told.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

/** A raw TCP origin; set `answer` for what comes next. */
export type RawOrigin = {
  readonly port: number;
  /** All bytes received since `forget`, over all connections. */
  readonly received: () => string;
  readonly connections: () => number;
  readonly forget: () => void;
  /** Called with each chunk received and all that came before it on the same connection. */
  readonly answer: (how: (socket: Socket, soFar: string) => void) => void;
  readonly close: () => void;
};

/** Starts an origin that answers nothing yet. */
export async function startRawOrigin(): Promise<RawOrigin> {
  let received = '';
  let connections = 0;
  let answer: (socket: Socket, soFar: string) => void = () => {};
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    let soFar = '';
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {
      // The sidecar may reset it; the test looks at what was received.
    });
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      received += text;
      soFar += text;
      answer(socket, soFar);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    received: () => received,
    connections: () => connections,
    forget() {
      received = '';
      connections = 0;
      // A kept connection would begin a test in the middle of another's bytes.
      for (const socket of sockets) socket.destroy();
    },
    answer(how) {
      answer = how;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
