import assert from 'node:assert/strict';
import {
  BodyReader,
  createResponseReader,
  HOP_AND_SIDECAR,
  type ResponseHead,
  serializeResponse,
} from '#protocol';
import { bytesOf, type FuzzTarget, pieces } from '../target.ts';

const REQUESTS = [
  { method: 'GET', upgrade: '' },
  { method: 'HEAD', upgrade: '' },
  { method: 'GET', upgrade: 'websocket' },
];

/** As for requests: the cuts change nothing, and what is forwarded is read again as the same answer. */
export const http1ResponseTarget: FuzzTarget = {
  name: 'http1-response',
  seeds: bytesOf(
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.0 200\r\nConnection: keep-alive\r\n\r\nuntil the end',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nConnection: close\r\n\r\n',
    'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00',
  ),
  tokens: [
    '\r\n',
    'HTTP/1.1 ',
    'HTTP/1.1 200 OK\r\n',
    'Content-Length: 1\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    'Connection: upgrade\r\n',
    'Upgrade: websocket\r\n',
    '0\r\n\r\n',
  ],
  run(bytes) {
    for (const request of REQUESTS) {
      const whole = read([bytes], request);
      for (const round of [0, 1]) assert.deepEqual(read(pieces(bytes, round), request), whole);
    }
  },
};

/** The heads of one exchange, and last how it stands when the bytes are used up. */
function read(chunks: readonly Buffer[], request: (typeof REQUESTS)[number]): readonly string[] {
  const reader = createResponseReader();
  const body = new BodyReader();
  const seen: string[] = [];
  let inBody = false;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      if (inBody) {
        at = body.read(chunk, at);
        if (body.error !== undefined) return [...seen, body.error];
        if (body.complete) return [...seen, 'complete'];
        continue;
      }
      const head = reader.read(chunk, at, request);
      if (head.kind === 'refuse') return [...seen, head.error];
      if (head.kind === 'more') break;
      seen.push(describe(head));
      forward(head, request);
      at += head.consumed;
      if (head.switched) return seen;
      if (head.interim) continue;
      body.start(head.framing);
      inBody = true;
      if (body.complete) return [...seen, 'complete'];
    }
  }
  return [...seen, inBody ? 'body' : 'head'];
}

function describe(head: ResponseHead): string {
  const { status, framing, keepAlive, interim, switched, minor } = head;
  return JSON.stringify([status, framing, keepAlive, interim, switched, minor]);
}

function forward(head: ResponseHead, request: (typeof REQUESTS)[number]): void {
  const none = { body: undefined, bodyStart: 0, bodyEnd: 0 };
  const added = head.switched ? 'connection: upgrade\r\nupgrade: websocket\r\n' : '';
  const bytes = serializeResponse(head, { dropped: HOP_AND_SIDECAR, added, ...none });
  const again = createResponseReader().read(bytes, 0, request);
  assert.equal(again.kind, 'head', bytes.toString('latin1'));
  if (again.kind !== 'head') return;
  assert.equal(again.consumed, bytes.length);
  assert.deepEqual(
    [again.status, again.framing, again.interim, again.switched],
    [head.status, head.framing, head.interim, head.switched],
  );
}
