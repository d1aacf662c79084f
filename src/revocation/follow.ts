import type { ClientDuplexStream } from '@grpc/grpc-js';
import { createBackoff } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { SyncMessage } from '#wire';
import type { RevocationStore } from './store.ts';
import { syncOver } from './sync.ts';

/** A standing exchange with one neighbour. */
export type RevocationFollower = {
  /** Whether the neighbour answered on the present stream. */
  readonly isConnected: () => boolean;
  /** Connects anew, e.g. with a renewed certificate or under a new trust root. */
  readonly restart: () => void;
  readonly close: () => void;
};

/** With whom, and how. */
export type FollowOptions = {
  readonly store: RevocationStore;
  /** Opens a Sync call; undefined or throwing if that is not possible yet. `close` frees what it took. */
  readonly open: () =>
    | {
        readonly stream: ClientDuplexStream<SyncMessage, SyncMessage>;
        readonly close: () => void;
      }
    | undefined;
  /** Name of the neighbour, for the log. */
  readonly neighbour: string;
  /** The longest back-off. */
  readonly maxRetryMs: number;
  readonly log: Log;
};

/** Exchanges revocations with a neighbour for as long as it lives, with jittered back-off. */
export function followRevocations(options: FollowOptions): RevocationFollower {
  const { store, neighbour, log } = options;
  const backoff = createBackoff({ minMs: 50, maxMs: options.maxRetryMs });
  let end: (() => void) | undefined;
  let isConnected = false;
  let isClosed = false;
  let retry: NodeJS.Timeout | undefined;

  function later(): void {
    if (isClosed) return;
    isConnected = false;
    retry = setTimeout(connect, backoff.nextMs());
    retry.unref();
  }

  function connect(): void {
    const call = tryOpen(options);
    if (call === undefined) return later();
    const { stream } = call;
    const finish = (): void => {
      if (end !== finish) return;
      end = undefined;
      stop();
      stream.cancel();
      call.close();
    };
    const lost = (error?: Error): void => {
      if (end !== finish) return;
      if (isConnected) log.debug(EVENT.revocationsLost, { neighbour, reason: error?.message });
      finish();
      later();
    };
    end = finish;
    stream.on('data', () => {
      isConnected = true;
      backoff.reset();
    });
    // Listened to even when it is over: an unheard `error` would end the process.
    stream.on('error', lost);
    stream.on('end', () => lost());
    const stop = syncOver(stream, { store, log });
  }

  connect();
  return {
    isConnected: () => isConnected,
    restart() {
      clearTimeout(retry);
      end?.();
      isConnected = false;
      if (!isClosed) connect();
    },
    close() {
      isClosed = true;
      clearTimeout(retry);
      end?.();
    },
  };
}

function tryOpen({ open, neighbour, log }: FollowOptions): ReturnType<FollowOptions['open']> {
  try {
    return open();
  } catch (error) {
    log.debug(EVENT.revocationsLost, { neighbour, error });
    return undefined;
  }
}
