import { EVENT, type Log } from '#telemetry';
import { type ChainState, decodeEnvelope, encodeEnvelope, type VerifiedRevocation } from '#trust';
import { createMessage, type Holdings, type SyncMessage, SyncMessageSchema } from '#wire';
import type { FanOut } from './fan-out.ts';
import type { RevocationStore } from './store.ts';

/** Either end of a Sync call. */
export type SyncStream = {
  readonly write: (message: SyncMessage) => boolean;
  readonly on: ((event: 'data', listener: (message: SyncMessage) => void) => unknown) &
    ((event: 'drain', listener: () => void) => unknown);
};

/** Whose revocations are exchanged; `fanOut` says when news are written where there are many streams. */
export type SyncOptions = {
  readonly store: RevocationStore;
  readonly log: Log;
  readonly fanOut?: FanOut;
};

// SECURITY: a signature check costs 0.1 ms; a neighbour that sends rubbish is not listened to any longer.
const MAX_REFUSED = 64;
const ENTRIES_A_MESSAGE = 256;

/**
 * Keeps both ends of a stream at the union of what they hold until the returned function is called. The holder of
 * `store` tells the other side whatever is new, and takes from it whatever verifies.
 */
export function syncOver(stream: SyncStream, { store, log, fanOut }: SyncOptions): () => void {
  const waiting: VerifiedRevocation[] = [];
  let refused = 0;
  let isFull = false;
  let isGreeted = false;
  let isOver = false;

  const write = (message: Parameters<typeof createMessage<typeof SyncMessageSchema>>[1]) => {
    if (!isOver) isFull = !stream.write(createMessage(SyncMessageSchema, message));
  };
  // What they hold is said anew when the stream takes it again: the newest is all that counts.
  const sayHoldings = () => write({ holds: encodeStates(store.states()) });

  function flush(): void {
    while (waiting.length > 0 && !isFull && !isOver) {
      write({ entries: waiting.splice(0, ENTRIES_A_MESSAGE).map(encoded) });
    }
  }

  function receive({ entries, holds }: SyncMessage): void {
    if (entries.length > 0 && refused < MAX_REFUSED) takeEntries(entries);
    if (holds === undefined || isGreeted) return;
    isGreeted = true;
    waiting.push(...store.lackedBy(decodeStates(holds)));
    flush();
  }

  function takeEntries(entries: readonly Uint8Array[]): void {
    const envelopes = entries.map((bytes) => decodeEnvelope(bytes));
    const received = store.receive(
      envelopes.map((envelope) => (envelope.ok ? envelope.value : null)),
      stream,
    );
    refused += received.refused.length;
    for (const error of received.refused) log.warn(EVENT.revocationRefused, { ...error });
    if (received.added.length > 0) store.saved().then(sayHoldings, sayHoldings);
  }

  stream.on('data', receive);
  stream.on('drain', () => {
    isFull = false;
    flush();
  });
  const stop = store.onAdded((added, from) => {
    if (from === stream) return;
    waiting.push(...added);
    if (fanOut === undefined) flush();
    else fanOut(flush);
  });
  sayHoldings();
  return () => {
    isOver = true;
    stop();
  };
}

const encodings = new WeakMap<object, Uint8Array>();

/** An entry as it travels, made once however many neighbours get it. */
function encoded({ envelope }: VerifiedRevocation): Uint8Array {
  let bytes = encodings.get(envelope);
  if (bytes === undefined) {
    bytes = encodeEnvelope(envelope);
    encodings.set(envelope, bytes);
  }
  return bytes;
}

/** Chain states as messages hold them. */
export function encodeStates(states: readonly ChainState[]) {
  return {
    chains: states.map(({ issuer, count, digest }) => ({ issuer, count: BigInt(count), digest })),
  };
}

/** Chain states as a neighbour claims them; what cannot be is no state at all. */
export function decodeStates({ chains }: Pick<Holdings, 'chains'>): ChainState[] {
  return chains
    .filter(({ count }) => count >= 0n && count <= 1_000_000n)
    .map(({ issuer, count, digest }) => ({ issuer, count: Number(count), digest }));
}
