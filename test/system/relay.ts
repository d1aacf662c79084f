// A TCP relay between two proxies, which does what networks do: it is away, breaks off, is slow, narrow or uneven.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** How a relay treats what passes; change it while it runs. */
export type RelayConduct = {
  /** Milliseconds before bytes are passed on; with `jitterMs`, up to so many more, in the order they came. */
  delayMs?: number;
  jitterMs?: number;
  /** Bytes a second, each way of each connection. */
  bytesPerSecond?: number;
  /** A connection is reset once so many bytes came from its server. */
  resetAfterServerBytes?: number;
  /** The same for bytes from its client. */
  resetAfterClientBytes?: number;
};

/** A running relay. */
export type Relay = {
  readonly port: number;
  readonly conduct: RelayConduct;
  readonly connections: () => number;
  /** Stops listening and resets what passes. */
  readonly down: () => void;
  readonly up: () => Promise<void>;
  readonly close: () => void;
};

/** Starts a relay to `port` of 127.0.0.1. */
export async function startRelay(port: number, conduct: RelayConduct = {}): Promise<Relay> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const accept = (client: Socket): void => {
    connections++;
    const server = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {
        // Broken on purpose, or by the proxy: both are looked at from outside.
      });
    }
    const cut = (): void => {
      client.resetAndDestroy();
      server.resetAndDestroy();
    };
    pass(client, server, { conduct, limit: () => conduct.resetAfterClientBytes, cut });
    pass(server, client, { conduct, limit: () => conduct.resetAfterServerBytes, cut });
    for (const socket of [client, server]) {
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
  };
  let server: Server = await listenOn(0, accept);
  const own = (server.address() as { port: number }).port;
  const down = (): void => {
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: own,
    conduct,
    connections: () => connections,
    down,
    async up() {
      server = await listenOn(own, accept);
    },
    close: down,
  };
}

type Passing = {
  readonly conduct: RelayConduct;
  readonly limit: () => number | undefined;
  readonly cut: () => void;
};

function pass(from: Socket, to: Socket, { conduct, limit, cut }: Passing): void {
  let seen = 0;
  let freeAt = 0;
  const later = (bytes: number, then: () => void): void => {
    const { delayMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = conduct;
    if (delayMs + jitterMs === 0 && bytesPerSecond === Number.POSITIVE_INFINITY) return then();
    const now = performance.now();
    // Never before what came earlier: a byte stream keeps its order whatever the network does.
    freeAt = Math.max(freeAt, now + delayMs + Math.random() * jitterMs);
    freeAt += (bytes / bytesPerSecond) * 1000;
    setTimeout(then, freeAt - now);
  };
  from.on('data', (chunk: Buffer) => {
    const most = limit() ?? Number.POSITIVE_INFINITY;
    const passing = chunk.subarray(0, Math.max(0, most - seen));
    seen += chunk.length;
    const isCut = seen >= most;
    from.pause();
    later(passing.length, () => {
      if (passing.length > 0 && to.writable) to.write(passing);
      if (isCut) return void setImmediate(cut);
      if (to.writableNeedDrain) to.once('drain', () => from.resume());
      else from.resume();
    });
  });
  from.on('end', () => later(0, () => to.end()));
}

async function listenOn(port: number, accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
