import { ApiProblem } from '../errors.ts';

/** One server-sent event; `data` goes out as JSON. */
export type SseEvent = { readonly event: string; readonly data: unknown; readonly id?: string };

/** Opens streams of server-sent events and ends them all with the process. */
export type SseStreams = {
  /**
   * Answers with a stream. `start` gets the function that sends and returns the one that stops; a reader too slow
   * for what happens is cut off and comes again with `Last-Event-ID`.
   */
  readonly open: (start: (send: (event: SseEvent) => void) => () => void) => Response;
  readonly count: () => number;
  readonly close: () => void;
};

const HEARTBEAT_MS = 15_000;
// SECURITY: every stream holds a connection and a listener; a client that opens them without end is told so.
const MAX_STREAMS = 256;
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** Creates no stream yet. */
export function createSseStreams(): SseStreams {
  const ends = new Set<() => void>();

  function open(start: (send: (event: SseEvent) => void) => () => void): Response {
    if (ends.size >= MAX_STREAMS) throw new ApiProblem('unavailable', 'too many streams are open');
    let end = (): void => {};
    const body = new ReadableStream<Uint8Array>(
      {
        start(controller) {
          const write = (text: string): void => {
            if ((controller.desiredSize ?? 0) <= 0) return end();
            controller.enqueue(Buffer.from(text));
          };
          const stop = start((event) => write(format(event)));
          const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS);
          end = once(() => {
            clearInterval(heartbeat);
            stop();
            ends.delete(end);
            close(controller);
          });
          ends.add(end);
        },
        cancel: () => end(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING_BYTES }),
    );
    return new Response(body, { headers: SSE_HEADERS });
  }

  return {
    open,
    count: () => ends.size,
    close() {
      for (const end of Array.from(ends)) end();
    },
  };
}

const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

function format({ event, data, id }: SseEvent): string {
  const name = id === undefined ? `event: ${event}` : `id: ${id}\nevent: ${event}`;
  return `${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
  };
}

function close(controller: ReadableStreamDefaultController): void {
  try {
    controller.close();
  } catch {
    // The reader cancelled it; there is nothing left to close.
  }
}
