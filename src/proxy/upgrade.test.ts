import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { compileProgram } from '#policy';
import { createFakePair, type FakePair, type FakePairOptions, talk } from './fake-pair.ts';

const AGREED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-App: 1\r\n\r\n';
const ASK =
  'GET /chat HTTP/1.1\r\nHost: orders\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Key: AA==\r\n\r\n';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A pair before an application that sees raw bytes, and the sockets of both ends. */
async function open(
  application: (socket: Socket, received: string) => void,
  options: Partial<FakePairOptions> = {},
): Promise<{ readonly pair: FakePair; readonly caller: Socket; readonly app: () => Socket }> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {
      // The proxy may reset it.
    });
    let head = '';
    socket.on('data', (chunk) => {
      if (head.includes('\r\n\r\n')) return;
      head += chunk.toString('latin1');
      if (head.includes('\r\n\r\n')) application(socket, head);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = (server.address() as AddressInfo).port;
  const pair = await createFakePair({ ...options, application: { port } });
  const caller = connect({
    port: pair.caller.outboundPort ?? 0,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  closers.push(
    () => caller.destroy(),
    () => pair.close(),
    () => server.close(),
  );
  return { pair, caller, app: () => sockets[0] as Socket };
}

async function switched(options: Partial<FakePairOptions> = {}): ReturnType<typeof open> {
  const opened = await open((socket) => socket.write(AGREED), options);
  const answer = await talk(opened.caller, ASK, (text) => text.endsWith('\r\n\r\n'));
  assert.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  return opened;
}

const heard = (socket: Socket, wanted: string): Promise<void> =>
  new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text === wanted) resolve();
    });
  });

/** Ended, or closed without an end. */
const over = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once('end', () => resolve());
    socket.once('close', () => resolve());
    socket.resume();
  });

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

test('an upgrade: hop-by-hop fields are made anew at each hop, the others pass', async () => {
  let head = '';
  const { caller } = await open((socket, received) => {
    head = received;
    socket.write(`${AGREED}early`);
  });
  const answer = await talk(caller, ASK, (text) => text.endsWith('early'));
  assert.match(head, /^GET \/chat HTTP\/1\.1\r\n/);
  assert.equal(head.match(/^connection: upgrade\r$/gim)?.length, 1);
  assert.equal(head.match(/^upgrade: websocket\r$/gim)?.length, 1);
  assert.match(head, /^Sec-WebSocket-Key: AA==\r$/m);
  assert.match(
    answer,
    /^HTTP\/1\.1 101 Switching Protocols\r\nX-App: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly$/,
  );
});

test('after the switch bytes pass as they are, both ways, and are recorded with status 101', async () => {
  const { pair, caller, app } = await switched();
  app().on('data', (chunk: Buffer) => app().write(chunk));
  const raw = 'GET / HTTP/1.1\r\n\r\n\0\xff\n';
  assert.equal(
    await talk(caller, Buffer.from(raw, 'latin1'), (text) => text.length === raw.length),
    raw,
  );
  const bulk = Buffer.alloc(4_000_000, 'palisade');
  let count = 0;
  const echoed = new Promise<void>((resolve) => {
    caller.on('data', (chunk) => {
      count += chunk.length;
      if (count === bulk.length) resolve();
    });
  });
  caller.write(bulk);
  await echoed;
  const gone = closed(caller);
  caller.end();
  app().end();
  await gone;
  for (const workload of [pair.web, pair.orders]) {
    const [record] = workload.records;
    assert.equal(record?.status, 101);
    assert.equal(
      record.reason === null || record.reason === 'allowed_by_policy',
      true,
      `${record.reason}`,
    );
    assert.equal(record.bytesIn, raw.length + bulk.length);
    assert.equal(record.bytesOut, raw.length + bulk.length);
  }
});

test('half-close passes through a switched connection in both directions', async () => {
  const { caller, app } = await switched();
  const ended = new Promise<void>((resolve) => app().once('end', resolve));
  caller.end('last words');
  await ended;
  const rest = heard(caller, 'answer after the end');
  app().end('answer after the end');
  await rest;

  const other = await switched();
  const serverEnded = new Promise<void>((resolve) => other.caller.once('end', resolve));
  other.app().end();
  await serverEnded;
  const got = new Promise<string>((resolve) => {
    other.app().once('data', (chunk: Buffer) => resolve(chunk.toString()));
  });
  other.caller.end('still here');
  assert.equal(await got, 'still here');
});

test('bytes sent before the server agreed reach it after it has', async () => {
  const { caller, app } = await open((socket) => {
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
    // The early bytes are on their way by then, and must not arrive before the 101 has left.
    setTimeout(() => socket.write(AGREED), 50);
  });
  const text = await talk(caller, `${ASK}early`, (seen) => seen.endsWith('early'));
  assert.ok(app().bytesRead > 0);
  assert.match(text, /101 Switching Protocols[^]*\r\n\r\nearly$/);
});

test('smuggling behind a refused upgrade: what follows it is never a request', async () => {
  const heads: string[] = [];
  const { caller } = await open((socket, received) => {
    heads.push(received);
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno');
  });
  caller.once('end', () => caller.end());
  const answer = await talk(caller, `${ASK}GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n`);
  assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1);
  assert.match(answer, /\r\nconnection: close\r\n/);
  assert.equal(heads.length, 1);
});

test('a policy that withdraws the permit cuts a switched connection', async () => {
  const { pair, caller, app } = await switched();
  const gone = Promise.all([over(caller), over(app())]);
  const snapshot = pair.orders.snapshots.current();
  assert.ok(snapshot);
  pair.orders.snapshots.set({
    ...snapshot,
    policies: [],
    program: compileProgram([], { defaultAction: 'deny' }),
  });
  await gone;
  const [record] = pair.orders.records;
  assert.equal(record?.status, 101);
  assert.equal(record.verdict, 'deny');
  assert.equal(record.reason, 'policy_denied');
});

test('a denied upgrade gets 403 and the application never hears of it', async () => {
  let heard = false;
  const { caller } = await open(
    () => {
      heard = true;
    },
    { policies: [] },
  );
  const answer = await talk(caller, ASK, (text) => text.includes('\r\n\r\n'));
  assert.match(answer, /^HTTP\/1\.1 403 /);
  assert.equal(heard, false);
});

test('a server gone without a word ends the switched connection at its caller', async () => {
  const { caller, app } = await switched();
  const gone = over(caller);
  app().resetAndDestroy();
  await gone;
});

test('the time for a whole call does not bound a switched connection', async () => {
  const { caller, app } = await switched({ timeouts: { requestMs: 300 } });
  await new Promise((resolve) => setTimeout(resolve, 600));
  app().write('still there');
  await heard(caller, 'still there');
});

test('nothing either way for the idle time-out: the switched connection ends', async () => {
  const { pair, caller } = await switched({ timeouts: { sessionMs: 300 } });
  await over(caller);
  assert.equal(pair.orders.records[0]?.reason, 'idle_timeout');
});
