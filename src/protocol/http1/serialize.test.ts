import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { BodyReader } from './body.ts';
import { createRequestReader } from './parse-request.ts';
import { createResponseReader } from './parse-response.ts';
import { HOP_AND_SIDECAR, HOP_BY_HOP, serializeRequest, serializeResponse } from './serialize.ts';

const BARE = { added: '', body: undefined, bodyStart: 0, bodyEnd: 0 };

const REQUESTS: readonly (readonly [name: string, raw: string, want: string])[] = [
  [
    'nothing to change',
    'GET /a HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n',
  ],
  [
    'hop-by-hop, sidecar and spoofed fields go',
    'GET /%61 HTTP/1.1\r\nX-Palisade-Reason: x\r\nHost: a\r\nConnection: x-b, te\r\nX-B: 1\r\n' +
      'TE: trailers\r\nKeep-Alive: 5\r\nX-Forwarded-Client-Cert: y\r\nx_forwarded_client_cert: z\r\n' +
      'Proxy-Authorization: secret\r\nAccept: b\r\nUpgrade: h2c\r\n\r\n',
    'GET /a HTTP/1.1\r\nHost: a\r\nAccept: b\r\nX: 1\r\n\r\n',
  ],
  [
    'absolute-form',
    'GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /b HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n',
  ],
  [
    'HTTP/1.0 stays',
    'GET /b HTTP/1.0\r\nHost: a\r\n\r\n',
    'GET /b HTTP/1.0\r\nHost: a\r\nX: 1\r\n\r\n',
  ],
];

for (const [name, raw, want] of REQUESTS) {
  test(`request: ${name}`, () => {
    for (const size of [raw.length, 1, 10]) {
      const bytes = Buffer.from(raw, 'latin1');
      const reader = createRequestReader();
      for (let from = 0; from < bytes.length; from += size) {
        const head = reader.read(bytes.subarray(from, from + size), 0);
        if (head.kind !== 'head') continue;
        const body = Buffer.from('xbodyx');
        const changes = {
          dropped: HOP_AND_SIDECAR,
          added: 'X: 1\r\n',
          body,
          bodyStart: 1,
          bodyEnd: 5,
        };
        assert.equal(serializeRequest(head, changes).toString('latin1'), `${want}body`);
      }
    }
  });
}

test('response: version becomes 1.1, no length with 204, hop-by-hop goes', () => {
  const cases = [
    ['HTTP/1.0 200 OK\r\nA: b\r\nConnection: close\r\n\r\n', 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n'],
    ['HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n', 'HTTP/1.1 204 None\r\n\r\n'],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ],
  ] as const;
  for (const [raw, want] of cases) {
    const head = createResponseReader().read(Buffer.from(raw), 0, { method: 'GET', upgrade: '' });
    assert.ok(head.kind === 'head');
    assert.equal(serializeResponse(head, { ...BARE, dropped: HOP_BY_HOP }).toString(), want);
  }
});

type Parsed = { method: string; url: string; headers: string[]; body: string };

const seen: Parsed[] = [];
let errors = 0;
// The strictness of node:http is what most applications behind the proxy have.
const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('latin1');
  request.on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('end', () => {
    const { method = '', url = '', rawHeaders } = request;
    seen.push({ method, url, headers: rawHeaders, body });
    response.end();
  });
});
server.on('clientError', (_error, socket) => {
  errors++;
  socket.destroy();
});
before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
after(() => server.close());

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,8}$/).map((name) => `X-${name}`);
const value = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,20}$/);
const segment = fc.stringMatching(/^[A-Za-z0-9._~!$&'()*+,;=:@|{}-]{1,8}$/);
const generated = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS'),
  segments: fc.array(fc.oneof(segment, fc.constantFrom('%41', '%3b', '%C3%A9', '%25')), {
    maxLength: 4,
  }),
  query: fc.option(fc.stringMatching(/^[A-Za-z0-9?/&=%+]{0,10}$/), { nil: undefined }),
  headers: fc.array(fc.tuple(token, value), { maxLength: 6 }),
  body: fc.array(fc.stringMatching(/^[a-z\r\n0-9]{1,12}$/), { maxLength: 3 }),
  chunked: fc.boolean(),
});

test('differential: node:http reads what we forward as the one request that we read', async () => {
  const samples = fc.sample(generated, 400);
  let accepted = 0;
  for (const sample of samples) {
    const raw = buildRequest(sample);
    const reader = createRequestReader();
    const head = reader.read(raw, 0);
    if (head.kind !== 'head') continue;
    const body = new BodyReader();
    body.start(head.framing);
    assert.equal(body.read(raw, head.consumed), raw.length);
    assert.ok(body.complete, raw.toString('latin1'));
    accepted++;
    const changes = {
      added: '',
      dropped: HOP_AND_SIDECAR,
      body: raw,
      bodyStart: head.consumed,
      bodyEnd: raw.length,
    };
    const parsed = await exchange(serializeRequest(head, changes));
    assert.equal(parsed.method, head.method);
    assert.equal(parsed.url, head.target);
    assert.equal(parsed.body, sample.body.join(''));
    const { fields } = head;
    const names = Array.from({ length: fields.count }, (_, i) => [
      fields.nameAt(i),
      fields.valueAt(i),
    ]);
    const theirs = parsed.headers.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
    assert.deepEqual(theirs, names.flat());
  }
  assert.ok(accepted > 150, `only ${accepted} of ${samples.length} accepted`);
  assert.equal(errors, 0);
});

function buildRequest(sample: {
  method: string;
  segments: string[];
  query: string | undefined;
  headers: (readonly [string, string])[];
  body: string[];
  chunked: boolean;
}): Buffer {
  const path = `/${sample.segments.join('/')}${sample.query === undefined ? '' : `?${sample.query}`}`;
  const headers = sample.headers.map(([name, text]) => `${name}: ${text}\r\n`).join('');
  const body = sample.body.join('');
  const chunks = sample.body.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`).join('');
  const framed = sample.chunked
    ? `Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\nX-T: 1\r\n\r\n`
    : `Content-Length: ${body.length}\r\n\r\n${body}`;
  return Buffer.from(
    `${sample.method} ${path} HTTP/1.1\r\nHost: a\r\n${headers}${framed}`,
    'latin1',
  );
}

async function exchange(bytes: Buffer): Promise<Parsed> {
  const from = seen.length;
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(bytes);
  await new Promise<void>((resolve) => {
    socket.once('data', () => resolve());
    socket.once('close', () => resolve());
  });
  socket.destroy();
  assert.equal(seen.length, from + 1, `one request expected from ${bytes.toString('latin1')}`);
  const parsed = seen[from];
  assert.ok(parsed);
  return parsed;
}
