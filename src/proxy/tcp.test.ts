import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { createFakeMesh, fakePolicy, fakeService } from './fake-mesh.ts';
import { createFakePair, type FakePair, type FakePairOptions } from './fake-pair.ts';

const PORTS = [{ port: 3306, name: 'sql', protocol: 'tcp' as const }];
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A pair around a TCP service; `caller` is connected to the sidecar's port that stands for it. */
async function open(
  serve: (socket: Socket) => void,
  options: Partial<FakePairOptions> = {},
): Promise<{ readonly pair: FakePair; readonly caller: Socket }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {
      // A reset is what some of these tests are about.
    });
    closers.push(() => socket.destroy());
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const mesh = createFakeMesh();
  const pair = await createFakePair({
    mesh,
    application: { port: (server.address() as AddressInfo).port },
    inbound: PORTS,
    service: fakeService(mesh, 'orders', { ports: PORTS }),
    upstreams: [{ service: 'orders', port: 3306, localPort: 0 }],
    ...options,
  });
  const port = pair.caller.upstreamPorts[0] ?? 0;
  const caller = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  closers.push(
    () => caller.destroy(),
    () => pair.close(),
    () => server.close(),
  );
  return { pair, caller };
}

/** Everything until the other side ends or breaks off. */
function readAll(socket: Socket): Promise<{ readonly text: string; readonly ended: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.once('end', () => resolve({ text, ended: true }));
    socket.once('close', () => resolve({ text, ended: false }));
    socket.on('error', () => {
      // Told by `close`.
    });
  });
}

test('a server that speaks first is heard at once, before the caller says a word', async () => {
  const greeting = 'J\0\0\0\n8.0.36\0';
  const { caller } = await open((socket) => {
    socket.write(greeting);
    socket.once('data', (chunk) => socket.end(`OK ${chunk.toString()}`));
  });
  const all = readAll(caller);
  await new Promise<void>((resolve) => caller.once('data', () => resolve()));
  caller.write('login');
  assert.deepEqual(await all, { text: `${greeting}OK login`, ended: true });
});

test('where mutual TLS is disabled a caller without a sidecar hears a server that speaks first', async () => {
  const heard: string[] = [];
  for (const peerMode of ['DISABLE', 'STRICT'] as const) {
    const { pair, caller } = await open((socket) => socket.end('greeting'), {
      inbound: PORTS.map((port) => ({ ...port, peerMode })),
      policies: [fakePolicy('ALLOW', 'anybody', {})],
      timeouts: { headerMs: 100 },
    });
    caller.destroy();
    const outsider = connect(pair.server.inboundPort ?? 0, '127.0.0.1');
    closers.push(() => outsider.destroy());
    heard.push((await readAll(outsider)).text);
  }
  assert.deepEqual(heard, ['greeting', '']);
});

test('half-close by the caller: the server hears the end and still answers', async () => {
  const { caller } = await open((socket) => {
    let asked = '';
    socket.on('data', (chunk) => {
      asked += chunk.toString();
    });
    socket.on('end', () => socket.end(`you said ${asked}`));
  });
  caller.end('all of it');
  assert.deepEqual(await readAll(caller), { text: 'you said all of it', ended: true });
});

test('half-close by the server: the caller hears the end and is still heard', async () => {
  let heard: (text: string) => void = () => undefined;
  const said = new Promise<string>((resolve) => {
    heard = resolve;
  });
  const { pair, caller } = await open((socket) => {
    socket.end('that was all');
    void readAll(socket).then(({ text }) => heard(text));
  });
  assert.deepEqual(await readAll(caller), { text: 'that was all', ended: true });
  const gone = new Promise<void>((resolve) => caller.once('close', () => resolve()));
  caller.end('understood');
  assert.equal(await said, 'understood');
  await gone;
  assert.equal(pair.orders.records[0]?.bytesIn, 'understood'.length);
});

test('silence ends a session after its own time-out and not after that of requests', async () => {
  const { pair, caller } = await open((socket) => socket.write('hello'), {
    timeouts: { idleMs: 100, sessionMs: 600 },
  });
  const before = performance.now();
  assert.equal((await readAll(caller)).text, 'hello');
  assert.ok(performance.now() - before > 450, 'ended by the time-out of requests');
  assert.equal(pair.orders.records[0]?.reason, 'idle_timeout');
});

test('records say when the server broke off, and nothing where a session just ended', async () => {
  const broken = await open((socket) => socket.once('data', () => socket.resetAndDestroy()));
  broken.caller.write('hello');
  assert.equal((await readAll(broken.caller)).ended, false);
  assert.equal(broken.pair.orders.records[0]?.reason, 'upstream_failed');
  const whole = await open((socket) => socket.once('data', () => socket.end('bye')));
  const said = readAll(whole.caller);
  whole.caller.end('hello');
  assert.deepEqual(await said, { text: 'bye', ended: true });
  assert.equal(whole.pair.orders.records[0]?.reason, null);
});

test('a connection of a denied caller is reset and the application never hears of it', async () => {
  let connections = 0;
  const { caller } = await open(() => connections++, { policies: [] });
  assert.equal((await readAll(caller)).text, '');
  assert.equal(connections, 0);
});

test('a port for a service that nobody knows: HTTP is told so, all else is reset, and recorded as what it is', async () => {
  const said: readonly [string, RegExp][] = [
    ['GET / HTTP/1.1\r\nHost: nobody\r\n\r\n', /^HTTP\/1\.1 404 [^]*no_such_service/],
    // PostgreSQL's wish for TLS, and a caller that waits for the server's first word.
    ['\x00\x00\x00\x08\x04\xd2\x16\x2f', /^$/],
    ['', /^$/],
  ];
  for (const [text, wanted] of said) {
    const { pair, caller } = await open(() => undefined, {
      upstreams: [{ service: 'nobody', port: 3306, localPort: 0 }],
      timeouts: { idleMs: 30_000 },
    });
    if (text !== '') caller.end(text, 'latin1');
    const all = await readAll(caller);
    assert.match(all.text, wanted);
    assert.equal(pair.web.records[0]?.reason, 'no_such_service', JSON.stringify(text));
    assert.equal(pair.web.metrics.refused('no_such_service').value, 1);
  }
});
