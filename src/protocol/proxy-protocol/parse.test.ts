import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from './checksum.ts';
import { PROXY_HEADER_ERRORS, type ProxyHeaderError } from './messages.ts';
import { parseProxyHeader } from './parse.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const text = (line: string): Buffer => Buffer.from(line, 'latin1');
const binary = (hex: string): Buffer => Buffer.from(SIGNATURE + hex.replaceAll(' ', ''), 'hex');

const ADDRESSES4 = 'c0000207 0a000001 dc04 01bb';
const ADDRESSES6 = `20010db8${'0'.repeat(23)}7 fd00${'0'.repeat(27)}1 dc04 01bb`;

/** Source and destination as `IP:PORT>IP:PORT`, or `local`. */
const ACCEPTED: readonly (readonly [name: string, bytes: Buffer, want: string])[] = [
  ['v1 TCP4', text('PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n'), '192.0.2.7:56324>10.0.0.1:443'],
  ['v1 TCP6', text('PROXY TCP6 2001:DB8::7 fd00::1 1 2\r\n'), '2001:db8::7:1>fd00::1:2'],
  ['v1 UNKNOWN', text('PROXY UNKNOWN\r\n'), 'local'],
  ['v1 UNKNOWN with a rest', text('PROXY UNKNOWN ffff:f:: 1 2 3\r\n'), 'local'],
  ['v2 TCP4', binary(`21 11 000c ${ADDRESSES4}`), '192.0.2.7:56324>10.0.0.1:443'],
  [
    'v2 TCP6',
    binary(`21 21 0024 ${ADDRESSES6}`),
    '2001:db8:0:0:0:0:0:7:56324>fd00:0:0:0:0:0:0:1:443',
  ],
  [
    'v2 with fields',
    binary(`21 11 0014 ${ADDRESSES4} 04 0001 00 02 0001 61`),
    '192.0.2.7:56324>10.0.0.1:443',
  ],
  ['v2 LOCAL', binary('20 00 0000'), 'local'],
  ['v2 LOCAL with addresses', binary(`20 11 000c ${ADDRESSES4}`), 'local'],
  ['v2 UNSPEC', binary('21 00 0000'), 'local'],
];

const REFUSED: readonly (readonly [name: string, bytes: Buffer, error: ProxyHeaderError])[] = [
  ['HTTP', text('GET / HTTP/1.1\r\n'), 'not_proxy_header'],
  ['TLS', Buffer.from('160301', 'hex'), 'not_proxy_header'],
  ['lower case', text('proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n'), 'not_proxy_header'],
  ['two spaces', text('PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n'), 'bad_proxy_header'],
  ['a trailing space', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n'), 'bad_proxy_header'],
  ['a leading zero', text('PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n'), 'bad_proxy_header'],
  ['a port with a zero before', text('PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n'), 'bad_proxy_header'],
  ['a port too high', text('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n'), 'bad_proxy_header'],
  ['the wrong family', text('PROXY TCP4 ::1 ::2 1 2\r\n'), 'bad_proxy_header'],
  ['a name for an address', text('PROXY TCP4 localhost 2.2.2.2 1 2\r\n'), 'bad_proxy_header'],
  ['a zone', text('PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n'), 'bad_proxy_header'],
  ['UDP', text('PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n'), 'bad_proxy_header'],
  ['a bare LF', text('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\nX\r\n'), 'bad_proxy_header'],
  ['no end', text(`PROXY UNKNOWN ${'x'.repeat(120)}`), 'proxy_header_too_large'],
  ['version 1 in binary', binary('11 11 000c'), 'bad_proxy_header'],
  ['an unknown command', binary('22 11 000c'), 'bad_proxy_header'],
  ['UDP in binary', binary(`21 12 000c ${ADDRESSES4}`), 'proxy_family_refused'],
  ['a Unix socket', binary(`21 31 00d8 ${'00'.repeat(216)}`), 'proxy_family_refused'],
  ['addresses too short', binary('21 11 000b c00002070a000001dc0401'), 'bad_proxy_header'],
  ['a length over the bound', binary('21 11 0801'), 'proxy_header_too_large'],
  [
    'a field longer than the rest',
    binary(`21 11 0010 ${ADDRESSES4} 04 0005 00`),
    'bad_proxy_header',
  ],
  ['half a field', binary(`21 11 000e ${ADDRESSES4} 04 00`), 'bad_proxy_header'],
  ['a wrong checksum', binary(`21 11 0013 ${ADDRESSES4} 03 0004 00000001`), 'bad_proxy_checksum'],
  ['a checksum of two bytes', binary(`21 11 0011 ${ADDRESSES4} 03 0002 0000`), 'bad_proxy_header'],
];

for (const [name, bytes, want] of ACCEPTED) {
  test(`accepted, whole and followed by other bytes, and nothing shorter: ${name}`, () => {
    for (const all of [bytes, Buffer.concat([bytes, Buffer.from('rest\r\n')])]) {
      const header = parseProxyHeader(all);
      assert.ok(header.ok, name);
      assert.equal(header.value.consumed, bytes.length);
      const { proxied } = header.value;
      const { source, destination } = proxied ?? {};
      const seen = `${source?.ip}:${source?.port}>${destination?.ip}:${destination?.port}`;
      assert.equal(proxied === undefined ? 'local' : seen, want);
    }
    for (let cut = 0; cut < bytes.length; cut++) {
      assert.deepEqual(parseProxyHeader(bytes.subarray(0, cut)), { ok: false, error: 'more' });
    }
  });
}

for (const [name, bytes, error] of REFUSED) {
  test(`refused as ${error}: ${name}`, () => {
    assert.deepEqual(parseProxyHeader(bytes), { ok: false, error });
  });
}

test('a right checksum is accepted and every other one is not', () => {
  const header = binary(`21 11 0013 ${ADDRESSES4} 03 0004 00000000`);
  header.writeUInt32BE(crc32c(header), header.length - 4);
  assert.ok(parseProxyHeader(header).ok);
  const field = 28;
  for (let at = 16; at < header.length; at++) {
    // With another type it is another field, and there is no checksum to be wrong.
    if (at === field) continue;
    const changed = Buffer.from(header);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.ok(!parseProxyHeader(changed).ok, `byte ${at}`);
  }
});

test('the checksum is Castagnoli’s', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
});

test('any bytes: no throw, a known outcome, and no more than the bound is asked for', () => {
  const start = fc.constantFrom(text('PROXY '), binary(''), Buffer.alloc(0));
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (before, rest) => {
      const bytes = Buffer.concat([before, rest]);
      const header = parseProxyHeader(bytes);
      if (header.ok) assert.ok(header.value.consumed <= bytes.length);
      else assert.ok(PROXY_HEADER_ERRORS.includes(header.error));
    }),
    { numRuns: 3_000 },
  );
  assert.notDeepEqual(parseProxyHeader(Buffer.concat([binary('21 11 0800'), Buffer.alloc(2048)])), {
    ok: false,
    error: 'more',
  });
});
