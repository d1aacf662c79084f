import { H2Connection } from './connection.ts';
import type {
  H2Fields,
  H2Limits,
  H2RequestHead,
  H2Reset,
  H2ResponseHead,
  H2StreamSink,
} from './messages.ts';
import type { H2Stream } from './stream.ts';

/** What one stream's owner heard. */
export type Heard = {
  stream: H2Stream | undefined;
  request: H2RequestHead | 'tooLarge' | undefined;
  responses: H2ResponseHead[];
  body: string;
  bodyBytes: number;
  trailers: H2Fields | undefined;
  isEnd: boolean;
  reset: H2Reset | undefined;
  drains: number;
};

/** A sink that writes down what it hears. */
export function listener(): Heard & { readonly sink: H2StreamSink } {
  const heard: Heard = {
    stream: undefined,
    request: undefined,
    responses: [],
    body: '',
    bodyBytes: 0,
    trailers: undefined,
    isEnd: false,
    reset: undefined,
    drains: 0,
  };
  const sink: H2StreamSink = {
    onResponse(head, isEnd) {
      heard.responses.push(head);
      heard.isEnd ||= isEnd;
    },
    onData(chunk, start, end, isEnd) {
      if (heard.bodyBytes < 100_000) heard.body += chunk.toString('latin1', start, end);
      heard.bodyBytes += end - start;
      heard.isEnd ||= isEnd;
    },
    onTrailers(fields) {
      heard.trailers = fields;
      heard.isEnd = true;
    },
    onReset(reset) {
      heard.reset = reset;
    },
    onDrain() {
      heard.drains++;
    },
  };
  return Object.assign(heard, { sink });
}

/** A client and a server that hear each other when `run` passes their bytes. */
export type Peers = {
  readonly client: H2Connection;
  readonly server: H2Connection;
  /** Requests that reached the server, in order. */
  readonly requests: ReturnType<typeof listener>[];
  readonly refused: string[];
  readonly run: (pieceBytes?: number) => void;
};

/** Two connections back to back; `onRequest` of the server answers nothing by itself. */
export function createPeers(
  limits: { readonly client?: Partial<H2Limits>; readonly server?: Partial<H2Limits> } = {},
): Peers {
  const requests: ReturnType<typeof listener>[] = [];
  const refused: string[] = [];
  const client = new H2Connection({
    role: 'client',
    limits: limits.client ?? {},
    events: { onOutput: () => undefined, onRefused: (error) => refused.push(`client ${error}`) },
  });
  const server = new H2Connection({
    role: 'server',
    limits: limits.server ?? {},
    events: {
      onOutput: () => undefined,
      onRefused: (error) => refused.push(`server ${error}`),
      onRequest(stream, request, isEnd) {
        const heard = listener();
        heard.stream = stream;
        heard.request = request;
        heard.isEnd = isEnd;
        requests.push(heard);
        return heard.sink;
      },
    },
  });
  client.start();
  server.start();
  const pass = (from: H2Connection, to: H2Connection, pieceBytes: number): boolean => {
    const taken = from.takeOutput();
    if (taken === undefined) return false;
    for (let at = 0; at < taken.length; at += pieceBytes) {
      // A buffer of its own, overwritten afterwards: what is kept of lent bytes shows.
      const piece = Buffer.from(taken.subarray(at, at + pieceBytes));
      to.receive(piece, 0);
      piece.fill(0xee);
    }
    from.release(taken);
    return true;
  };
  const run = (pieceBytes = Number.POSITIVE_INFINITY): void => {
    for (;;) {
      const there = pass(client, server, pieceBytes);
      const back = pass(server, client, pieceBytes);
      if (!there && !back) return;
    }
  };
  return { client, server, requests, refused, run };
}

/** The fields of a GET. */
export const GET: readonly string[] = [
  ':method',
  'GET',
  ':scheme',
  'http',
  ':authority',
  'orders',
  ':path',
  '/',
];
