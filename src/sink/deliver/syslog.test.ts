import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import type { Evidence } from '../evidence.ts';
import { fakeAlert, fakeRecord } from '../fake-evidence.ts';
import { createFakeSurroundings, createFakeTls } from '../fake-surroundings.ts';
import { cefLine } from '../formats/cef.ts';
import type { Surroundings } from '../surroundings.ts';
import { createSyslog, cutAtCharacter } from './syslog.ts';

/** A server of frames as RFC 6587 3.4.1 counts them. */
async function collect(t: TestContext, server: Server) {
  const messages: string[] = [];
  const sockets = new Set<Socket>();
  const take = (socket: Socket) => {
    sockets.add(socket);
    let rest = Buffer.alloc(0);
    socket.on('error', () => {
      // The client may leave at any time.
    });
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let space = rest.indexOf(0x20); space > 0; space = rest.indexOf(0x20)) {
        const length = Number(rest.subarray(0, space).toString('latin1'));
        assert.ok(Number.isInteger(length), 'a frame begins with its length');
        if (rest.length < space + 1 + length) return;
        messages.push(rest.subarray(space + 1, space + 1 + length).toString('utf8'));
        rest = rest.subarray(space + 1 + length);
      }
    });
  };
  server.on('connection', take);
  server.on('secureConnection', take);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  t.after(() => {
    server.close();
    drop();
  });
  return { port: (server.address() as AddressInfo).port, messages, drop };
}

function connectTo(t: TestContext, endpoint: string, changes: Partial<Surroundings> = {}) {
  const surroundings = createFakeSurroundings(changes);
  const receiver = createSyslog(
    { endpoint, facility: 'local3', appName: 'palisade' },
    surroundings,
    (item) => cefLine(item, surroundings),
  );
  t.after(() => {
    receiver.close();
    surroundings.remove();
  });
  return (batch: readonly Evidence[], ms = 1_000) =>
    receiver.deliver(batch, AbortSignal.timeout(ms));
}

const HEAD =
  /^<158>1 2026-01-31T12:00:00\.123Z control-1 palisade - access - CEF:0\|Palisade\|Palisade\|0\.2\.0\|call\.allowed\|/;

test('TCP: batches arrive in order over one connection, and over a new one after the server went', async (t) => {
  const { port, messages, drop } = await collect(t, createServer());
  const deliver = connectTo(t, `tcp://127.0.0.1:${port}`);
  const batch = [fakeRecord(1, { path: '/ä\nforged' }), fakeRecord(2)];
  assert.deepEqual(await deliver(batch), { kind: 'delivered' });
  drop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await deliver([fakeRecord(3)]), { kind: 'delivered' });
  assert.equal(messages.length, 3);
  for (const message of messages) assert.match(message, HEAD);
  assert.deepEqual(
    messages.map((message) => /externalId=(\S+)/.exec(message)?.[1]),
    ['r-1', 'r-2', 'r-3'],
  );
});

test('severity and message id tell what it is', async (t) => {
  const { port, messages } = await collect(t, createServer());
  const deliver = connectTo(t, `tcp://127.0.0.1:${port}`);
  await deliver([fakeRecord(1, { verdict: 'deny' }), fakeAlert({ severity: 'page' })]);
  // local3 is 19: warning 4, critical 2.
  assert.match(messages[0] ?? '', /^<156>1 .* access - CEF/);
  assert.match(messages[1] ?? '', /^<154>1 .* alert - CEF/);
});

test('TLS: the right certificate is taken; a wrong name or authority gets nothing', async (t) => {
  const tls = createFakeTls();
  const { port, messages } = await collect(t, createTlsServer({ cert: tls.cert, key: tls.key }));
  const endpoint = `tls://127.0.0.1:${port}`;
  const cases = [
    { tls: { ca: tls.ca, serverName: 'receiver.example' }, kind: 'delivered' },
    { tls: { ca: tls.ca, serverName: 'other.example' }, kind: 'retry' },
    { tls: { ca: tls.ca }, kind: 'retry' },
    { tls: { ca: createFakeTls().ca, serverName: 'receiver.example' }, kind: 'retry' },
  ] as const;
  for (const [i, { tls: known, kind }] of cases.entries()) {
    assert.equal(
      (await connectTo(t, endpoint, { tls: known })([fakeRecord(i)])).kind,
      kind,
      `case ${i}`,
    );
  }
  assert.equal(messages.length, 1);
});

test('a server that is not there, speaks no TLS, does not read or leaves at once is tried again later', async (t) => {
  const quiet = createServer((socket) => socket.pause());
  await once(quiet.listen(0, '127.0.0.1'), 'listening');
  const rude = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
  await once(rude.listen(0, '127.0.0.1'), 'listening');
  const sockets: Socket[] = [];
  quiet.on('connection', (socket) => sockets.push(socket));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    quiet.close();
    rude.close();
  });
  const portOf = (server: Server) => (server.address() as AddressInfo).port;
  const large = Array.from({ length: 2_000 }, (_, i) =>
    fakeRecord(i, { path: '/'.repeat(1_000), node: 'n'.repeat(1_000) }),
  );
  const gone = await connectTo(t, 'tcp://127.0.0.1:1')([fakeRecord(1)]);
  const plain = await connectTo(t, `tls://127.0.0.1:${portOf(quiet)}`)([fakeRecord(1)], 300);
  const unread = await connectTo(t, `tcp://127.0.0.1:${portOf(quiet)}`)(
    [...large, ...large, ...large],
    500,
  );
  const left = await connectTo(t, `tcp://127.0.0.1:${portOf(rude)}`)([fakeRecord(1)]);
  assert.deepEqual(
    [gone, plain, unread, left].map(({ kind }) => kind),
    ['retry', 'retry', 'retry', 'retry'],
  );
});

test('UDP: one message a datagram, cut where it would not fit', async (t) => {
  const server = createSocket('udp4');
  const messages: Buffer[] = [];
  server.on('message', (message) => messages.push(message));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const deliver = connectTo(t, `udp://127.0.0.1:${server.address().port}`);
  const long = {
    path: 'a'.repeat(1_000),
    node: '日'.repeat(1_000),
    host: 'c'.repeat(1_000),
    'source.id': 'd'.repeat(1_000),
  };
  const longer = {
    'source.service': '日'.repeat(1_000),
    'destination.id': 'f'.repeat(1_000),
    policy: '日'.repeat(1_000),
    denial_id: 'h'.repeat(1_000),
    reason: '日'.repeat(1_000),
  };
  assert.deepEqual(await deliver([fakeRecord(1), fakeRecord(2, { ...long, ...longer })]), {
    kind: 'delivered',
  });
  for (let i = 0; messages.length < 2 && i < 100; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.match(messages[0]?.toString('utf8') ?? '', HEAD);
  const [, cut = Buffer.alloc(0)] = messages;
  assert.ok(cut.length > 8 * 1024 - 4 && cut.length <= 8 * 1024, `${cut.length} bytes`);
  // RFC 5424 section 6.4: UTF-8, and half a character is none.
  assert.ok(isUtf8(cut));
});

test('a text is cut before a character that does not fit, whatever its length', () => {
  for (const character of ['a', 'é', '日', '😀']) {
    const text = Buffer.from(character.repeat(100));
    for (let length = 0; length <= 40; length++) {
      const cut = cutAtCharacter(text, length);
      assert.ok(isUtf8(cut) && cut.length <= length && cut.length > length - 4, character);
    }
  }
});
