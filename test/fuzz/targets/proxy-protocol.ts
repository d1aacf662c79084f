import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { parseProxyHeader } from '#protocol';
import type { FuzzTarget } from '../target.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const ADDRESSES = 'c00002070a000001dc0401bb';

/** What follows a header changes nothing, a part of one is never another one, addresses are addresses. */
export const proxyProtocolTarget: FuzzTarget = {
  name: 'proxy-protocol',
  seeds: [
    Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n'),
    Buffer.from('PROXY TCP6 2001:db8::7 fd00::1 1 2\r\nGET / HTTP/1.1'),
    Buffer.from('PROXY UNKNOWN\r\n'),
    Buffer.concat([SIGNATURE, Buffer.from(`2111000c${ADDRESSES}`, 'hex')]),
    Buffer.concat([SIGNATURE, Buffer.from(`21110014${ADDRESSES}0400010002000161`, 'hex')]),
    Buffer.concat([SIGNATURE, Buffer.from('20000000', 'hex')]),
  ],
  tokens: ['PROXY ', 'TCP4', 'TCP6', 'UNKNOWN', ' ', '\r\n', '::1', '1.2.3.4', '\x21\x11\x00\x0c'],
  run(bytes) {
    const header = parseProxyHeader(bytes);
    const longer = parseProxyHeader(Buffer.concat([bytes, Buffer.from('rest')]));
    if (!header.ok) {
      if (header.error !== 'more') assert.deepEqual(longer, header);
      return;
    }
    assert.deepEqual(longer, header);
    const { consumed, proxied } = header.value;
    assert.ok(consumed <= bytes.length);
    assert.deepEqual(parseProxyHeader(bytes.subarray(0, consumed - 1)), {
      ok: false,
      error: 'more',
    });
    for (const end of [proxied?.source, proxied?.destination]) {
      if (end === undefined) continue;
      assert.notEqual(isIP(end.ip), 0, end.ip);
      assert.ok(end.port >= 0 && end.port <= 65_535);
    }
  },
};
