import assert from 'node:assert/strict';
import { parseConnect } from '#protocol';
import { bytesOf, type FuzzTarget } from '../target.ts';

/** A tunnel's head: what follows changes nothing, and no shorter head means another thing. */
export const http1ConnectTarget: FuzzTarget = {
  name: 'http1-connect',
  seeds: bytesOf(
    'CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n',
    'CONNECT orders.default.svc:443 HTTP/1.0\r\nUser-Agent: x\r\n\r\n\x16\x03\x01',
    'CONNECT [::1]:80 HTTP/1.1\r\n\r\n',
  ),
  tokens: ['\r\n', '\r\n\r\n', 'Host: a\r\n', 'Content-Length: 1\r\n', ':80', ' HTTP/1.1'],
  run(bytes) {
    const result = parseConnect(bytes);
    const longer = parseConnect(Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n\r\n')]));
    if (result.kind === 'connect') {
      assert.deepEqual(longer, result);
      assert.ok(result.consumed <= bytes.length);
      assert.match(result.authority.name, /^[a-z0-9._-]+$|^\[[0-9a-f:.]+\]$/);
      assert.equal(parseConnect(bytes.subarray(0, result.consumed - 1)).kind, 'more');
    } else if (result.kind === 'other') assert.equal(longer.kind, 'other');
  },
};
