import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer as createRelay, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls';
import { createFakeMesh, fakePolicy, fakeService } from './fake-mesh.ts';
import { createFakePair, type FakePair, type FakePairOptions, talk } from './fake-pair.ts';

const PORTS = [{ port: 443, name: 'tls', protocol: 'tls' as const }];
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A pair around an application that does TLS itself and answers with the name it was asked for. */
async function open(options: Partial<FakePairOptions> = {}): Promise<FakePair> {
  const mesh = createFakeMesh();
  const own = mesh.issue('application');
  const app = createServer({ key: own.privateKeyPem, cert: own.chainPem }, (socket) => {
    const { servername } = socket as TLSSocket & { servername?: string };
    socket.on('error', () => {
      // Its caller may go at any time.
    });
    socket.on('data', (chunk) => socket.end(`${servername} got ${chunk.toString()}`));
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const pair = await createFakePair({
    mesh,
    application: { port: (app.address() as AddressInfo).port },
    inbound: PORTS,
    service: fakeService(mesh, 'orders', { ports: PORTS }),
    upstreams: [{ service: 'orders', port: 443, localPort: 0 }],
    ...options,
  });
  closers.push(
    () => pair.close(),
    () => app.close(),
  );
  return pair;
}

/** TLS from end to end over `socket`; what comes back, or why it failed. */
function askTls(socket: Socket, servername: string): Promise<string> {
  const tls = connectTls({ socket, servername, rejectUnauthorized: false });
  closers.push(() => tls.destroy());
  return new Promise((resolve) => {
    let text = '';
    tls.on('secureConnect', () => tls.write('hello'));
    tls.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    tls.on('end', () => resolve(text));
    tls.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    tls.on('close', () => resolve(text === '' ? 'closed' : text));
  });
}

const local = (port: number | undefined): Socket => connect(port ?? 0, '127.0.0.1');

test('TLS of the applications’ own passes as it is, and its server name is recorded', async () => {
  const pair = await open();
  const answer = await askTls(local(pair.caller.upstreamPorts[0]), 'Orders.Example');
  assert.equal(answer, 'Orders.Example got hello');
  for (const workload of [pair.web, pair.orders]) {
    while (workload.records.length === 0) await new Promise(setImmediate);
    assert.equal(workload.records[0]?.about['connection.sni'], 'orders.example');
    assert.equal(workload.records[0].about.kind, 'tcp');
    assert.ok(workload.records[0].bytesIn > 300, 'the hello counts');
  }
});

test('the server name decides: an allowed one passes, another one does not', async () => {
  const pair = await open({
    policies: [fakePolicy('ALLOW', 'by-name', { sni: ['orders.example'] })],
  });
  const port = pair.caller.upstreamPorts[0];
  assert.equal(await askTls(local(port), 'orders.example'), 'orders.example got hello');
  assert.doesNotMatch(await askTls(local(port), 'secret.example'), /got/);
  assert.ok(pair.orders.records.some(({ verdict }) => verdict === 'deny'));
});

test('a hello byte by byte is the same hello', async () => {
  const pair = await open();
  const relay = createRelay((incoming) => {
    const outgoing = local(pair.caller.upstreamPorts[0]).setNoDelay(true);
    outgoing.pipe(incoming);
    incoming.on('error', () => outgoing.destroy());
    incoming.on('data', (chunk: Buffer) => {
      for (const byte of chunk) setImmediate(() => outgoing.write(Buffer.of(byte)));
    });
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  closers.push(() => relay.close());
  const { port } = relay.address() as AddressInfo;
  assert.equal(await askTls(local(port), 'orders.example'), 'orders.example got hello');
});

test('TLS to the forward proxy goes where its server name says, within the mesh only', async () => {
  const pair = await open();
  const port = pair.caller.outboundPort;
  assert.equal(await askTls(local(port), 'orders.default.svc'), 'orders.default.svc got hello');
  assert.doesNotMatch(await askTls(local(port), 'example.org'), /got/);
  const refused = pair.web.records.find(({ reason }) => reason === 'no_such_service');
  assert.equal(refused?.about['connection.sni'], 'example.org');
});

test('what is not TLS on a TLS port is refused and the application never hears of it', async () => {
  const pair = await open();
  const text = await talk(local(pair.caller.upstreamPorts[0]), 'GET / HTTP/1.1\r\n\r\n');
  assert.equal(text, '');
  while (pair.web.records.length === 0) await new Promise(setImmediate);
  assert.equal(pair.web.records[0]?.reason, 'bad_request');
  assert.equal(pair.orders.records.length, 0);
});
