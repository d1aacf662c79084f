import { createMessage, type SubscribeResponse, SubscribeResponseSchema } from '#wire';

/** One stream to a subscriber. `write` returns false when the stream is full, until `drained` is called. */
export type SubscriberStream = {
  readonly write: (response: SubscribeResponse) => boolean;
};

/** What a message says; undefined where there is nothing to say any more. */
export type Message = SubscribeResponse['message'];

/** What is still to be sent to one subscriber, each thing once. */
export type Outbox = {
  /** Takes the place of what waits under `key`. */
  readonly queue: (key: string, build: () => Message | undefined) => void;
  /** Sends until the stream is full. */
  readonly flush: () => void;
  /** The stream takes more again. */
  readonly drained: () => void;
};

/** Each message is built only when the stream takes it, so late news coalesce; `onError` hears of one that could not. */
export function createOutbox(stream: SubscriberStream, onError: (error: unknown) => void): Outbox {
  const waiting = new Map<string, () => Message | undefined>();
  let full = false;

  function flush(): void {
    for (const [key, build] of waiting) {
      if (full) return;
      waiting.delete(key);
      const message = attempt(build, onError);
      if (message === undefined) continue;
      full = !stream.write(createMessage(SubscribeResponseSchema, { message }));
    }
  }

  return {
    queue(key, build) {
      waiting.set(key, build);
    },
    flush,
    drained() {
      full = false;
      flush();
    },
  };
}

// A database that cannot be read must cost one message, not the stream and never the process.
function attempt(
  build: () => Message | undefined,
  onError: (error: unknown) => void,
): Message | undefined {
  try {
    return build();
  } catch (error) {
    onError(error);
    return undefined;
  }
}
