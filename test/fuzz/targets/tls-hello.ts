import assert from 'node:assert/strict';
import { looksLikeTls, parseClientHello } from '#protocol';
import type { FuzzTarget } from '../target.ts';

/** What follows a hello changes nothing, and a part of one is never another one. */
export const tlsHelloTarget: FuzzTarget = {
  name: 'tls-hello',
  seeds: [
    hello(
      extension(0, serverName('orders.example')),
      extension(16, Buffer.from('0003026832', 'hex')),
    ),
    hello(),
    Buffer.concat([hello(extension(0, serverName('a'))), Buffer.from('rest')]),
  ],
  tokens: ['\x16\x03\x01', '\x00\x00', '\x01', '\x00\x10', 'a.example', '\xff\xff'],
  run(bytes) {
    const found = parseClientHello(bytes);
    const longer = parseClientHello(Buffer.concat([bytes, Buffer.from('more')]));
    if (found.ok) assert.deepEqual(longer, found);
    else if (found.error !== 'more') assert.equal(longer.ok, false);
    if (!found.ok) return;
    assert.equal(looksLikeTls(bytes), 'tls');
    const { sni } = found.value;
    if (sni !== undefined) assert.match(sni, /^[a-z0-9._-]{1,255}$/);
    const half = parseClientHello(bytes.subarray(0, bytes.length >> 1));
    if (half.ok) assert.deepEqual(half, found);
  },
};

function hello(...extensions: readonly Buffer[]): Buffer {
  const all = Buffer.concat(extensions);
  const fixed = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32, 7),
    Buffer.from('0000021301', 'hex'),
    Buffer.of(1, 0),
  ]);
  const body = Buffer.concat([fixed, extensions.length === 0 ? all : prefixed(all)]);
  const message = Buffer.concat([Buffer.of(1, 0, body.length >> 8, body.length & 255), body]);
  return Buffer.concat([Buffer.of(22, 3, 1), prefixed(message)]);
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0, type), prefixed(body)]);
}

function serverName(name: string): Buffer {
  return prefixed(Buffer.concat([Buffer.of(0), prefixed(Buffer.from(name))]));
}

/** With its length before it, in two bytes. */
function prefixed(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}
