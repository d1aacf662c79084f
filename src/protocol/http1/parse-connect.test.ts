import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseConnect } from './parse-connect.ts';

const GOOD =
  'CONNECT Orders.default:80 HTTP/1.1\r\nHost: orders.default.:80\r\nProxy-Connection: keep-alive\r\n\r\n';

test('a CONNECT names its authority and leaves what follows', () => {
  const result = parseConnect(Buffer.from(`${GOOD}GET / HTTP/1.1`));
  assert.deepEqual(result, {
    kind: 'connect',
    authority: { name: 'orders.default', port: 80 },
    consumed: GOOD.length,
  });
});

test('every truncation waits for more', () => {
  for (let length = 0; length < GOOD.length; length += 1) {
    assert.equal(parseConnect(Buffer.from(GOOD).subarray(0, length)).kind, 'more', String(length));
  }
});

test('clients that say less are understood: no Host, a Host without port, HTTP/1.0', () => {
  for (const text of [
    'CONNECT orders:80 HTTP/1.1\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nHost: ORDERS\r\n\r\n',
    'CONNECT orders:80 HTTP/1.0\r\n\r\n',
  ])
    assert.equal(parseConnect(Buffer.from(text)).kind, 'connect', text);
});

test('other requests are left alone', () => {
  for (const text of [
    'GET / HTTP/1.1\r\n\r\n',
    'CONNECTX',
    'connect a:80 HTTP/1.1\r\n\r\n',
    '\0\0',
  ]) {
    assert.equal(parseConnect(Buffer.from(text)).kind, 'other', text);
  }
});

test('ambiguous tunnels are refused', () => {
  const cases = [
    'CONNECT orders HTTP/1.1\r\n\r\n',
    'CONNECT orders:80 HTTP/1.2\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nHost: elsewhere:80\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nHost: orders:81\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nHost: orders\r\nHost: orders\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nHost:\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nUpgrade: h2c\r\n\r\n',
    'CONNECT  orders:80 HTTP/1.1\r\n\r\n',
    'CONNECT /path HTTP/1.1\r\n\r\n',
    'CONNECT user@orders:80 HTTP/1.1\r\n\r\n',
    'CONNECT orders:99999 HTTP/1.1\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nContent-Length: 4\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nHost : orders\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nA: b\nC: d\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\n folded\r\n\r\n',
    'CONNECT orders:80 HTTP/1.1\r\nA: b\0\r\n\r\n',
    `CONNECT orders:80 HTTP/1.1\r\nA: ${'b'.repeat(9000)}\r\n\r\n`,
    `CONNECT ${'a'.repeat(9000)}`,
  ];
  for (const text of cases)
    assert.equal(parseConnect(Buffer.from(text)).kind, 'refuse', text.slice(0, 80));
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseConnect(Buffer.concat([Buffer.from('CONNECT '), bytes]));
    }),
  );
});
