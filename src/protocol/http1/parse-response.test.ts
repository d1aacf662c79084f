import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BodyReader } from './body.ts';
import { createResponseReader } from './parse-response.ts';

const ACCEPTED: readonly (readonly [raw: string, method: string, want: Record<string, unknown>])[] =
  [
    ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', 'GET', { status: 200, keepAlive: true }],
    ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n', 'HEAD', { framing: { kind: 'none' } }],
    ['HTTP/1.1 200 OK\r\n\r\n', 'HEAD', { framing: { kind: 'none' }, keepAlive: true }],
    ['HTTP/1.1 200 OK\r\n\r\n', 'GET', { framing: { kind: 'until_close' }, keepAlive: false }],
    ['HTTP/1.0 200 OK\r\n\r\n', 'GET', { framing: { kind: 'until_close' }, minor: 0 }],
    ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n', 'GET', { keepAlive: false, minor: 0 }],
    [
      'HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n',
      'GET',
      { keepAlive: true },
    ],
    [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      'GET',
      { framing: { kind: 'chunked' } },
    ],
    ['HTTP/1.1 204 No Content\r\n\r\n', 'GET', { framing: { kind: 'none' }, keepAlive: true }],
    ['HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', 'GET', { framing: { kind: 'none' } }],
    [
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
      'GET',
      { framing: { kind: 'none' } },
    ],
    ['HTTP/1.1 100 Continue\r\n\r\n', 'POST', { interim: true, framing: { kind: 'none' } }],
    ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'GET', { interim: true }],
    ['HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', 'GET', { status: 200 }],
    ['HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', 'GET', { status: 200 }],
    ['HTTP/1.1 404 Nicht da: \u00e4\r\nConnection: close\r\n\r\n', 'GET', { keepAlive: false }],
  ];

for (const [raw, method, want] of ACCEPTED) {
  test(`accepted for ${method}: ${JSON.stringify(raw)}`, () => {
    for (const size of [raw.length, 1, 5]) {
      const { kind, head } = read(raw, method, size);
      assert.equal(kind, 'head');
      for (const [key, value] of Object.entries(want)) assert.deepEqual(head?.[key], value, key);
    }
    for (let cut = 1; cut < raw.length; cut++) {
      assert.equal(read(raw.slice(0, cut), method, cut).kind, 'more', `cut at ${cut}`);
    }
  });
}

const REFUSED: readonly (readonly [raw: string, error: string])[] = [
  ['HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n', 'bare_lf'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n', 'bare_lf'],
  ['HTTP/1.1 200 O\rK\r\n\r\n', 'bare_cr'],
  ['HTTP/1.1 200 O\x00K\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1  200 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 20 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 2000 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 099 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 600 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 +20 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.2 200 OK\r\n\r\n', 'bad_version'],
  ['HTTP/2 200 OK\r\n\r\n', 'bad_version'],
  ['ICY 200 OK\r\n\r\n', 'bad_status_line'],
  [' HTTP/1.1 200 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n', 'upgrade_unasked'],
  ['HTTP/1.1 101 Switching\r\n\r\n', 'upgrade_unasked'],
  ['HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n', 'upgrade_unasked'],
  ['HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n', 'upgrade_unasked'],
  ['HTTP/1.0 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', 'upgrade_unasked'],
  [
    'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n',
    'forbidden_body',
  ],
  ['HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n', 'forbidden_body'],
  ['HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n', 'forbidden_body'],
  ['HTTP/1.1 100 No\r\nContent-Length: 5\r\n\r\n', 'forbidden_body'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n', 'repeated_content_length'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 1,1\r\n\r\n', 'bad_content_length'],
  [
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'content_length_with_transfer_encoding',
  ],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 'bad_transfer_encoding'],
  ['HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'bad_transfer_encoding'],
  ['HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n', 'obs_fold'],
  ['HTTP/1.1 200 OK\r\nX : a\r\n\r\n', 'space_before_colon'],
  ['HTTP/1.1 200 OK\r\nX: a\x00\r\n\r\n', 'bad_field_value'],
  ['HTTP/1.1 200 OK\r\nConnection: content-length\r\n\r\n', 'forbidden_connection_option'],
  [`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(66_000)}\r\n\r\n`, 'head_too_large'],
];

for (const [raw, error] of REFUSED) {
  test(`refused as ${error}: ${JSON.stringify(raw).slice(0, 80)}`, () => {
    for (const size of [raw.length, 1, 9]) assert.equal(read(raw, 'GET', size).error, error);
  });
}

test('a body until close ends when the sender ends, other bodies do not', () => {
  const body = new BodyReader();
  body.start({ kind: 'until_close' });
  assert.equal(body.read(Buffer.from('abc'), 1), 3);
  assert.equal(body.complete, false);
  assert.equal(body.end(), true);
  body.start({ kind: 'length', length: 5 });
  body.read(Buffer.from('abc'), 0);
  assert.equal(body.end(), false);
  body.start({ kind: 'chunked' });
  body.read(Buffer.from('3\r\nabc\r\n'), 0);
  assert.equal(body.end(), false);
});

test('fuzz: arbitrary responses never throw', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('HTTP/1.1 200 OK\r\n', ''), (text, start) => {
      assert.ok(read(`${start}${text}\r\n\r\n`, 'GET', 3).kind !== '');
    }),
  );
});

function read(
  raw: string,
  method: string,
  size: number,
): { kind: string; error?: string; head?: Record<string, unknown> } {
  const bytes = Buffer.from(raw, 'latin1');
  const reader = createResponseReader();
  for (let from = 0; from < bytes.length; from += size) {
    const result = reader.read(bytes.subarray(from, from + size), 0, {
      method,
      upgrade: 'websocket',
    });
    if (result.kind === 'refuse') return result;
    if (result.kind === 'head') return { kind: 'head', head: { ...result } };
  }
  return { kind: 'more' };
}
