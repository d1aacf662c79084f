import assert from 'node:assert/strict';
import {
  BodyReader,
  createRequestReader,
  FIELD,
  fieldSet,
  HOP_AND_SIDECAR,
  type RequestHead,
  serializeRequest,
} from '#protocol';
import { AMBIGUOUS } from '../../corpus/http1-ambiguous.ts';
import { bytesOf, type FuzzTarget, pieces } from '../target.ts';

/**
 * However the bytes come, they are read as the same messages or refused for the same reason; and what
 * is forwarded of a message is read again as the same one, alone.
 */
export const http1RequestTarget: FuzzTarget = {
  name: 'http1-request',
  seeds: [
    ...bytesOf(
      'GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nX: y\r\n\r\n',
      'GET http://A./%61|b HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, x\r\nX: 1\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00',
      'OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n!',
    ),
    ...Object.values(AMBIGUOUS)
      .flat()
      .filter(([raw]) => raw.length < 400)
      .map(([raw]) => Buffer.from(raw, 'latin1')),
  ],
  tokens: [
    '\r\n',
    '\r\n\r\n',
    'Host: a\r\n',
    'Content-Length: 1\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    'X-Palisade-Reason: y\r\n',
    'GET / HTTP/1.1\r\n',
    '0\r\n\r\n',
    '%2e',
    '//',
    'chunked',
  ],
  run(bytes) {
    const whole = read([bytes]);
    for (const round of [0, 1]) assert.deepEqual(read(pieces(bytes, round)), whole);
  },
};

const MAX_MESSAGES = 4;

/** What was read: a line a message, and last why it ended. */
function read(chunks: readonly Buffer[]): readonly string[] {
  const reader = createRequestReader();
  const body = new BodyReader();
  const seen: string[] = [];
  let inBody = false;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length || (inBody && body.complete); ) {
      if (seen.length > MAX_MESSAGES) return seen;
      if (inBody) {
        at = body.read(chunk, at);
        if (body.error !== undefined) return [...seen, body.error];
        if (!body.complete) break;
        inBody = false;
        continue;
      }
      const head = reader.read(chunk, at);
      if (head.kind === 'refuse') return [...seen, head.error];
      if (head.kind === 'more') break;
      seen.push(describe(head));
      forward(head);
      at += head.consumed;
      body.start(head.framing);
      inBody = true;
    }
  }
  return [...seen, 'more'];
}

function describe(head: RequestHead): string {
  const { method, target, path, host, framing, keepAlive, upgrade, minor } = head;
  return JSON.stringify([method, target, path, host, framing, keepAlive, upgrade, minor]);
}

/** INVARIANT: what the application gets is what was judged: the same again, and nothing hop-by-hop. */
function forward(head: RequestHead): void {
  const added = head.isHostVerbatim ? '' : `host: ${head.host}\r\n`;
  const dropped = head.isHostVerbatim ? HOP_AND_SIDECAR : HOP_AND_SIDECAR | HOST;
  const none = { body: undefined, bodyStart: 0, bodyEnd: 0 };
  const bytes = serializeRequest(head, { dropped, added, ...none });
  const again = createRequestReader().read(bytes, 0);
  assert.equal(again.kind, 'head', bytes.toString('latin1'));
  if (again.kind !== 'head') return;
  assert.equal(again.consumed, bytes.length);
  assert.equal(again.isHostVerbatim, true);
  for (const key of ['method', 'path', 'target', 'host', 'minor'] as const)
    assert.equal(again[key], head[key], key);
  assert.deepEqual(again.framing, head.framing);
  for (const name of ['connection', 'upgrade', 'keep-alive', 'te', 'x-forwarded-client-cert'])
    assert.deepEqual(again.fields.values(name), [], name);
}

const HOST = fieldSet(FIELD.HOST);
