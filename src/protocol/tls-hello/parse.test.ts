import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { looksLikeTls, parseClientHello } from './parse.ts';

test('a real ClientHello: server name and protocols, at every cut', async () => {
  const hello = await captureHello({
    servername: 'Orders.Example',
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  const want = { ok: true, value: { sni: 'orders.example', alpn: ['h2', 'http/1.1'] } };
  assert.deepEqual(parseClientHello(hello), want);
  for (let cut = 0; cut < hello.length; cut++) {
    assert.deepEqual(parseClientHello(hello.subarray(0, cut)), { ok: false, error: 'more' });
    assert.equal(looksLikeTls(hello.subarray(0, cut)), cut < 6 ? 'more' : 'tls');
  }
  // The same handshake message in records of 150 bytes.
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let from = 0; from < message.length; from += 150) {
    const part = message.subarray(from, from + 150);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  assert.deepEqual(parseClientHello(Buffer.concat(records)), want);
});

test('without server name and protocols', async () => {
  const hello = await captureHello({});
  assert.deepEqual(parseClientHello(hello), { ok: true, value: { sni: undefined, alpn: [] } });
});

test('other protocols are told apart at once', () => {
  for (const text of [
    'GET / HTTP/1.1',
    'PRI * HTTP',
    '\x16\x02',
    '\x15\x03',
    'SSH-2.0',
    '\x00',
    '\x16\x03\x05',
  ]) {
    assert.equal(looksLikeTls(Buffer.from(text, 'latin1')), 'not_tls', JSON.stringify(text));
  }
  assert.deepEqual(parseClientHello(Buffer.from('GET /')), {
    ok: false,
    error: 'not_client_hello',
  });
});

test('fuzz: a changed byte never throws', async () => {
  const hello = await captureHello({ servername: 'a.example', ALPNProtocols: ['h2'] });
  fc.assert(
    fc.property(fc.nat(hello.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(hello);
      changed[at] = byte;
      const result = parseClientHello(changed);
      assert.ok(
        result.ok || ['more', 'malformed', 'not_client_hello', 'too_large'].includes(result.error),
      );
    }),
    { numRuns: 2000 },
  );
});

async function captureHello(options: {
  servername?: string;
  ALPNProtocols?: string[];
}): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const captured = new Promise<Buffer>((resolve) => {
    server.once('connection', (socket) => {
      let bytes = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3)) return;
        resolve(bytes);
        socket.destroy();
      });
    });
  });
  const client = connectTls({
    socket: connect(port, '127.0.0.1'),
    rejectUnauthorized: false,
    ...options,
  });
  client.on('error', () => {
    // The server hangs up on purpose once it has the hello.
  });
  const bytes = await captured;
  client.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return bytes;
}
