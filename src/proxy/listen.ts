import { createServer, type Server, type Socket } from 'node:net';
import type { ProxyContext } from './context.ts';
import type { Live } from './live.ts';
import type { ListenAddress } from './options.ts';

/** A listening port; `close` only stops it from taking new connections. */
export type Listener = { readonly port: number; readonly close: () => void };

// A peer that vanished without a word is noticed within minutes, and devices between us that forget
// silent connections are kept awake: sessions may be idle for days.
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 60_000 };

/** Opens a port; rejects if it is taken or not allowed. */
export function listen(
  address: ListenAddress,
  context: ProxyContext,
  accept: (socket: Socket) => void,
): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, ...KEEP_ALIVE }, accept);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
      server.off('error', reject);
      server.on('error', () => {
        // Out of descriptors or the like: those connected go on, and it is counted.
        context.options.metrics.refused('accept_failed').value++;
      });
      resolve({ port: portOf(server), close: () => server.close() });
    });
  });
}

/**
 * Watches a connection of which nothing is known yet: it has to say who it is within the header
 * time-out. `settle` hands it over.
 */
export function watchNewcomer(raw: Socket, context: ProxyContext): { readonly settle: () => void } {
  const { metrics } = context.options;
  let waiting = true;
  const settle = (): void => {
    waiting = false;
    context.live.remove(newcomer);
    raw.off('close', onClose);
    raw.off('end', end);
  };
  const onClose = (): void => {
    if (waiting) metrics.refused('garbage').value++;
    settle();
  };
  const end = (): void => {
    raw.destroy();
  };
  const newcomer: Live = {
    deadlineAt: context.live.now + context.timeouts().headerMs,
    cutAt: 0,
    manner: 'stream',
    expire() {
      metrics.refused('handshake_timeout').value++;
      settle();
      raw.destroy();
    },
    // It is judged when it has said who it is.
    judge: () => undefined,
    cut: end,
    drain: end,
    destroy: end,
  };
  context.live.add(newcomer);
  raw.on('error', () => {
    // Told by `close`, which always follows.
  });
  raw.on('close', onClose);
  raw.on('end', end);
  return { settle };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
