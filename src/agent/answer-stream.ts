import type { CallRefusal } from '#wire';

/** A server stream of whole answers, of which only the newest counts. */
export type AnswerStream<Response> = {
  /** Sends an answer unless the one with this `key` was sent last; while the client reads slowly, it waits. */
  readonly send: (key: string, response: () => Response) => void;
  readonly isAnswered: () => boolean;
  readonly end: (refusal?: CallRefusal) => void;
};

/** The side of a streaming call that answers go out on; unary and streamed requests alike. */
export type AnswerCall<Response> = {
  readonly on: (event: 'drain' | 'cancelled' | 'close', listener: () => void) => unknown;
  readonly refuse: (refusal: CallRefusal) => void;
  readonly write: (response: Response) => boolean;
};

/**
 * Puts a stream on a call; `onEnd` is called once, however it ends. SECURITY: a client that never reads costs one answer,
 * however often it changes.
 */
export function createAnswerStream<Response>(
  call: AnswerCall<Response>,
  onEnd: () => void,
): AnswerStream<Response> {
  let told: string | undefined;
  let waiting: { key: string; response: () => Response } | undefined;
  let isBlocked = false;
  let isOver = false;

  function end(refusal?: CallRefusal): void {
    if (isOver) return;
    isOver = true;
    waiting = undefined;
    onEnd();
    if (refusal !== undefined) call.refuse(refusal);
  }

  function send(key: string, response: () => Response): void {
    if (isOver) return;
    if (isBlocked) {
      waiting = { key, response };
      return;
    }
    if (key === told) return;
    told = key;
    isBlocked = !call.write(response());
  }

  call.on('drain', () => {
    isBlocked = false;
    const next = waiting;
    waiting = undefined;
    if (next !== undefined) send(next.key, next.response);
  });
  call.on('cancelled', () => end());
  call.on('close', () => end());
  return { send, end, isAnswered: () => told !== undefined };
}
