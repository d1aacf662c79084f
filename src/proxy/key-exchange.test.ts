import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { createFakeMesh, fakeSnapshot } from './fake-mesh.ts';
import { ALLOW_WEB, ask, createFakePair, isWholeAnswer, talk } from './fake-pair.ts';
import { decodeSessionGroup, GROUPS, negotiatedGroup } from './key-exchange.ts';

const mesh = createFakeMesh();
const { privateKeyPem: key, chainPem: cert } = mesh.issue('orders');

/** Shakes hands with these groups; returns what each side says was used, or nothing where it failed. */
async function shake(server: string, client: string): Promise<(string | undefined)[]> {
  const seen: (string | undefined)[] = [];
  const listener = createServer(
    { key, cert, minVersion: 'TLSv1.3', ecdhCurve: server },
    (socket: TLSSocket) => {
      seen.push(negotiatedGroup(socket));
      socket.end('x');
    },
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ecdhCurve: client,
    });
    socket.on('secureConnect', () => seen.push(negotiatedGroup(socket)));
    socket.on('error', () => {
      // A handshake that fails is one of the outcomes looked for.
    });
    socket.on('close', () => resolve());
    socket.resume();
  });
  listener.close();
  return seen;
}

const CASES = [
  [GROUPS['prefer-hybrid'], GROUPS['prefer-hybrid'], 'X25519MLKEM768'],
  [GROUPS['prefer-hybrid'], 'X25519', 'X25519'],
  // A caller that knows the hybrid, and would rather not, is asked again.
  [GROUPS['prefer-hybrid'], 'X25519:X25519MLKEM768', 'X25519MLKEM768'],
  ['X25519', GROUPS['prefer-hybrid'], 'X25519'],
  ['P-384', 'P-384', 'secp384r1'],
] as const;

test('both sides read the group that was used', async () => {
  for (const [server, client, group] of CASES) {
    assert.deepEqual(await shake(server, client), [group, group], `${server} with ${client}`);
  }
});

test('where the hybrid is required, a peer without it gets no connection', async () => {
  assert.deepEqual(await shake(GROUPS['require-hybrid'], 'X25519'), []);
  assert.deepEqual(await shake('X25519', GROUPS['require-hybrid']), []);
});

test('a session that is cut or altered names no group, and nothing is thrown', () => {
  const session = Buffer.from('300c020101b304020211ecb40101', 'hex');
  assert.equal(decodeSessionGroup(session), 0x11ec);
  for (let length = 0; length < session.length; length++) {
    assert.equal(decodeSessionGroup(session.subarray(0, length)), undefined);
  }
  for (let at = 0; at < session.length; at++) {
    for (const value of [0x00, 0x80, 0x84, 0xff]) {
      const altered = Buffer.from(session);
      altered[at] = value;
      assert.doesNotThrow(() => decodeSessionGroup(altered));
    }
  }
});

test('records and metrics of both sides name the group', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok') });
  await ask(pair.caller.outboundPort, GET);
  for (const { records } of [pair.web, pair.orders]) {
    assert.equal(records[0]?.about['tls.group'], 'X25519MLKEM768');
  }
  const { body } = await pair.orders.metrics.exposition(false);
  assert.match(body, /palisade_handshakes_total\{[^}]*group="X25519MLKEM768"/);
  await pair.close();
});

test('downgrade: a mesh that begins to require the hybrid has no other connection any more', async () => {
  const pair = await createFakePair({ application: (_, response) => response.end('ok') });
  const { privateKeyPem, chainPem } = pair.mesh.issue('web');
  const old = connect({
    host: '127.0.0.1',
    port: pair.server.inboundPort ?? 0,
    key: privateKeyPem,
    cert: chainPem,
    ecdhCurve: 'X25519',
    rejectUnauthorized: false,
  });
  assert.match(await talk(old, GET, isWholeAnswer), /^HTTP\/1\.1 200 /);
  const policies = [ALLOW_WEB];
  for (const [workload, service] of [
    [pair.orders, 'orders'] as const,
    [pair.web, 'web'] as const,
  ]) {
    const upstreams = service === 'web' ? [pair.service] : [];
    workload.snapshots.set(
      fakeSnapshot(pair.mesh, { service, policies, upstreams, keyExchange: 'require-hybrid' }),
    );
  }
  assert.match(await talk(old, GET, isWholeAnswer), /peer_unauthenticated/);
  assert.match(await ask(pair.caller.outboundPort, GET), /^HTTP\/1\.1 200 /);
  old.destroy();
  await pair.close();
});

const GET = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n';
