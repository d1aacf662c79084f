// gRPC through two real sidecars, between the interoperability client and server of grpc-go: its 14 standard cases, and
// what a caller hears that policy denies.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { allow } from './allow.ts';
import { type GoPeer, goPeer } from './go-peers.ts';
import { finish, freePort, startTestMesh, type TestMesh } from './mesh.ts';
import { untilStatus } from './until.ts';

const CASES = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
];

const RESOURCES = `
apiVersion: palisade.dev/v1
kind: Service
metadata: { name: interop }
spec: { ports: [{ name: grpc, port: 80, protocol: grpc }] }
${allow('interop', 'client')}`;

describe('gRPC peers behind sidecars', () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-grpc-'));
  let mesh: TestMesh | undefined;
  let client: GoPeer;
  let server: GoPeer;
  const ports = { client: 0, stranger: 0 };

  before(async () => {
    [client, server] = [await goPeer('client', folder), await goPeer('server', folder)];
    if (client.kind === 'absent' || server.kind === 'absent') return;
    mesh = await startTestMesh();
    const appPort = await freePort();
    const serve = [server.path, '-port', `${appPort}`];
    await mesh.run('interop', serve, ['--app-port', `${appPort}`]);
    ports.client = await freePort();
    ports.stranger = await freePort();
    const sleep = ['sleep', '3600'];
    await mesh.run('client', sleep, ['--upstream', `interop=${ports.client}`]);
    await mesh.run('stranger', sleep, ['--upstream', `interop=${ports.stranger}`]);
    await mesh.apply(RESOURCES);
    await untilStatus(0, () => interop('empty_unary', ports.client));
  });
  after(async () => {
    await mesh?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function interop(name: string, port: number): ReturnType<typeof finish> {
    const path = client.kind === 'found' ? client.path : '';
    const to = ['-server_host', '127.0.0.1', '-server_port', `${port}`];
    return finish(['timeout', '15', path, ...to, '-test_case', name]);
  }

  for (const name of CASES) {
    test(`${name} passes`, async (t) => {
      for (const peer of [client, server]) if (peer.kind === 'absent') return t.skip(peer.reason);
      const done = await interop(name, ports.client);
      assert.equal(done.status, 0, done.stderr);
    });
  }

  test('a denial is a gRPC status', async (t) => {
    for (const peer of [client, server]) if (peer.kind === 'absent') return t.skip(peer.reason);
    const done = await interop('empty_unary', ports.stranger);
    assert.notEqual(done.status, 0);
    assert.match(done.stderr + done.stdout, /code = PermissionDenied desc = policy_denied/);
  });
});
