import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BodyReader } from './body.ts';
import { createRequestReader, type RequestReader } from './parse-request.ts';

type Want = Readonly<Record<string, unknown>>;

const VECTORS: readonly (readonly [name: string, raw: string, want: Want])[] = [
  [
    'plain GET',
    'GET /a/b?c=d&e HTTP/1.1\r\nHost: Shop.Example:8080\r\n\r\n',
    {
      method: 'GET',
      path: '/a/b',
      target: '/a/b?c=d&e',
      host: 'shop.example:8080',
      verbatim: true,
    },
  ],
  [
    'unreserved escapes are decoded, others stay, odd characters are escaped',
    'GET /%61%2Db/%c3%a9/%3b|x?%61 HTTP/1.1\r\nHost: a\r\n\r\n',
    { path: '/a-b/%c3%a9/%3b%7Cx', target: '/a-b/%c3%a9/%3b%7Cx?%61', verbatim: false },
  ],
  [
    'dots inside segments',
    'GET /.well-known/a..b/...c/.git HTTP/1.1\r\nHost: a\r\n\r\n',
    { path: '/.well-known/a..b/...c/.git' },
  ],
  [
    'absolute-form, host in another case, default port',
    'GET http://A.b:80/x?y HTTP/1.1\r\nHost: a.B\r\n\r\n',
    { path: '/x', target: '/x?y', host: 'a.b', absolute: true, verbatim: false },
  ],
  ['absolute-form without path', 'GET http://a HTTP/1.1\r\nHost: a\r\n\r\n', { target: '/' }],
  ['absolute-form, query only', 'GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n', { target: '/?b' }],
  ['asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', { path: '*', target: '*' }],
  ['asterisk, absolute', 'OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n', { target: '*' }],
  ['trailing dot', 'GET / HTTP/1.1\r\nHost: a.b.\r\n\r\n', { host: 'a.b' }],
  ['IPv6', 'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', { host: '[::1]:80' }],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\n\r\n', { minor: 0, keepAlive: false }],
  ['close', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n', { keepAlive: false }],
  ['keep-alive', 'GET / HTTP/1.1\r\nHost:a\r\nConnection: keep-alive\r\n\r\n', { keepAlive: true }],
  ['one empty line before', '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', { method: 'GET' }],
  [
    'length',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n',
    { framing: { kind: 'length', length: 12 } },
  ],
  [
    'no length',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
    { framing: { kind: 'none' } },
  ],
  [
    'chunked in any case',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n',
    { framing: { kind: 'chunked' }, expectContinue: true },
  ],
  [
    'h2c offer',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n',
    { upgrade: '' },
  ],
  [
    'web socket',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n',
    { upgrade: 'websocket' },
  ],
  ['odd method', 'M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n', { method: 'M-SEARCH' }],
];

for (const [name, raw, want] of VECTORS) {
  test(`read: ${name}`, () => {
    const whole = observe(createRequestReader(), [Buffer.from(raw, 'latin1')]);
    for (const [key, value] of Object.entries(want)) assert.deepEqual(whole[key], value, key);
    // Every truncation and every cut in two.
    for (let cut = 1; cut < raw.length; cut++) {
      const [left, right] = [raw.slice(0, cut), raw.slice(cut)].map((x) =>
        Buffer.from(x, 'latin1'),
      );
      assert.ok(left && right);
      assert.deepEqual(observe(createRequestReader(), [left]), { kind: 'more' }, `cut at ${cut}`);
      assert.deepEqual(observe(createRequestReader(), [left, right]), whole, `cut at ${cut}`);
    }
  });
}

test('fields: values of one name in order, lines never joined, named hop-by-hop ones hidden', () => {
  const reader = createRequestReader();
  const raw =
    'GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-b:\t two \r\nx-A:\r\nConnection: x-b\r\n\r\n';
  const head = reader.read(Buffer.from(raw), 0);
  assert.equal(head.kind, 'head');
  assert.ok(head.kind === 'head');
  assert.deepEqual(head.fields.values('x-a'), ['1', '']);
  assert.equal(head.fields.value('x-b'), undefined);
  assert.equal(head.fields.value('host'), 'a');
});

test('more fields than the table holds at first', () => {
  const lines = Array.from({ length: 120 }, (_, i) => `X-${i}: ${i}\r\n`).join('');
  const raw = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
  const whole = observe(createRequestReader(), [raw]);
  assert.equal((whole.fields as string[]).length, 121);
  const halves = [raw.subarray(0, 700), raw.subarray(700)];
  assert.deepEqual(observe(createRequestReader(), halves), whole);
});

test('pipelined requests come one after another, wherever the bytes are cut', () => {
  const raw = Buffer.from(
    'POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' +
      'POST /2 HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n' +
      'GET /3 HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  const want = ['POST /1 a 3', 'POST /2 b 20', 'GET /3 a 0'];
  for (let size = 1; size <= raw.length; size++) assert.deepEqual(drive(raw, size), want);
});

const piece = fc.oneof(
  fc.constantFrom(
    'GET ',
    'POST /a',
    ' HTTP/1.1\r\n',
    'Host: a\r\n',
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    '\r\n',
    '\n',
    '\r',
    '5\r\nhello\r\n',
    '0\r\n\r\n',
    'X: y\r\n',
    ' ',
    ':',
    '%2f',
    'Connection: close\r\n',
  ),
  fc.string({ maxLength: 6 }),
);

test('fuzz: never throws, and the outcome does not depend on how bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 24 }),
      fc.integer({ min: 1, max: 40 }),
      (parts, size) => {
        const start = parts.length % 2 === 0 ? 'POST /x HTTP/1.1\r\nHost: a\r\n' : '';
        const raw = Buffer.from(start + parts.join(''), 'latin1');
        assert.deepEqual(drive(raw, size), drive(raw, raw.length || 1));
      },
    ),
    { numRuns: 3000 },
  );
});

test('fuzz: arbitrary bytes are refused or wait for more, never accepted', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const result = createRequestReader().read(Buffer.from(bytes), 0);
      assert.notEqual(result.kind, 'head');
    }),
  );
});

/** What a caller can see of the head, copied out since the reader reuses its table. */
function observe(reader: RequestReader, chunks: readonly Buffer[]): Record<string, unknown> {
  let result: ReturnType<RequestReader['read']> = { kind: 'more' };
  for (const chunk of chunks) result = reader.read(chunk, 0);
  if (result.kind !== 'head') return { ...result };
  const { fields, consumed, ...rest } = result;
  assert.equal(consumed, chunks.at(-1)?.length);
  const lines = Array.from({ length: fields.count }, (_, i) => [
    fields.bytes.toString('latin1', fields.start(i), fields.end(i)),
    fields.nameAt(i),
    fields.valueAt(i),
  ]);
  return { ...rest, fields: lines };
}

/** Reads a connection's bytes cut into `size`: one line for each message, and the error at the end. */
function drive(raw: Buffer, size: number): string[] {
  const reader = createRequestReader();
  const body = new BodyReader();
  const seen: string[] = [];
  let current = '';
  let bodyBytes = 0;
  for (let from = 0; from < raw.length; from += size) {
    const chunk = raw.subarray(from, from + size);
    let at = 0;
    while (at < chunk.length) {
      if (body.complete) {
        const head = reader.read(chunk, at);
        if (head.kind === 'refuse') return [...seen, head.error];
        if (head.kind === 'more') break;
        at += head.consumed;
        current = `${head.method} ${head.target} ${head.host}`;
        bodyBytes = 0;
        body.start(head.framing);
      }
      const end = body.read(chunk, at);
      if (body.error !== undefined) return [...seen, body.error];
      bodyBytes += end - at;
      at = end;
      if (body.complete) seen.push(`${current} ${bodyBytes}`);
    }
  }
  return seen;
}
