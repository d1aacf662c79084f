// Unmodified SPIFFE clients of others against our Workload API.
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { allow } from './allow.ts';
import { finish, type Service, start, startTestMesh, type TestMesh } from './mesh.ts';
import { executableOf, goSpiffe, type Peer, pySpiffe, spiffeHelper } from './spiffe-peers.ts';

const ID = 'spiffe://cluster.local/ns/default/sa';

describe('SPIFFE clients of others', () => {
  let mesh: TestMesh;
  let pages: Service;
  let go: Peer;
  let python: Peer;
  const folder = mkdtempSync(join(tmpdir(), 'palisade-spiffe-'));

  before(async () => {
    [mesh, go, python] = await Promise.all([startTestMesh(), goSpiffe(folder), pySpiffe()]);
    const serve = `exec python3 -m http.server "$PORT" --bind 127.0.0.1 --directory ${folder}`;
    pages = await mesh.run('pages', ['sh', '-c', serve]);
  });
  after(async () => {
    await mesh.close();
    rmSync(folder, { recursive: true });
  });

  const socket = () => `unix://${join(mesh.dataDir, 'agent', 'agent.sock')}`;
  const run = (peer: Peer, ...args: string[]) =>
    finish(['env', `SPIFFE_ENDPOINT_SOCKET=${socket()}`, ...commandOf(peer), ...args]);

  test('go-spiffe: identities, bundles, tokens', async (t) => {
    if (go.kind === 'absent') return t.skip(go.reason);
    const denied = await run(go, 'x509');
    assert.match(denied.stderr, /PermissionDenied/);
    await mesh.apply(registrations(await executableOf(go.command[0] ?? ''), 'go'));
    const x509 = JSON.parse((await succeed(run(go, 'x509'))).stdout);
    assert.deepEqual(x509, {
      svids: [
        { id: `${ID}/go`, hint: 'internal' },
        { id: `${ID}/go-public`, hint: 'external' },
      ],
      bundles: ['cluster.local'],
    });
    const jwt = JSON.parse((await succeed(run(go, 'jwt', 'reports', `${ID}/pages`))).stdout);
    assert.equal(jwt.local, `${ID}/go`);
    assert.equal(jwt.remote, `${ID}/go`);
    assert.deepEqual(jwt.audience, ['reports']);
    assert.ok(jwt.expiresInS > 200 && jwt.expiresInS <= 300, String(jwt.expiresInS));
    assert.equal(jwt.wrongAudience, 'InvalidArgument');
    assert.equal(jwt.foreign, 'PermissionDenied');
  });

  test('go-spiffe: mutual TLS with a sidecar, under its policy', async (t) => {
    if (go.kind === 'absent') return t.skip(go.reason);
    await mesh.apply(registrations(await executableOf(go.command[0] ?? ''), 'go'));
    const url = `https://127.0.0.1:${pages.ports.inboundPort}/`;
    const get = async () => JSON.parse((await succeed(run(go, 'get', url, `${ID}/pages`))).stdout);
    assert.equal((await get()).status, 403);
    await mesh.apply(allow('pages', 'go'));
    assert.equal((await get()).status, 200);
    const wrong = await run(go, 'get', url, `${ID}/go`);
    assert.notEqual(wrong.status, 0, 'the server is not who it should be');
  });

  test('go-spiffe: a registration deleted under an open stream denies it', async (t) => {
    if (go.kind === 'absent') return t.skip(go.reason);
    await mesh.apply(registrations(await executableOf(go.command[0] ?? ''), 'watched'));
    const watcher = start([...commandOf(go), 'watch'], {
      ...process.env,
      SPIFFE_ENDPOINT_SOCKET: socket(),
    });
    await watcher.printed(/update/);
    for (const name of ['watched', 'watched-public', 'go', 'go-public']) {
      await mesh.cli('delete', 'Registration', name, '--yes');
    }
    await watcher.printed(/denied/);
    await watcher.stop();
  });

  test('py-spiffe: identities, bundles, tokens, sources', async (t) => {
    if (python.kind === 'absent') return t.skip(python.reason);
    await mesh.apply(registrations(await executableOf(python.command[0] ?? ''), 'python'));
    const done = await succeed(run(python, 'reports', `${ID}/pages`));
    assert.deepEqual(JSON.parse(done.stdout), {
      svids: [`${ID}/python`, `${ID}/python-public`],
      x509Bundles: ['cluster.local'],
      jwtBundles: ['cluster.local'],
      token: `${ID}/python`,
      audience: ['reports'],
      wrongAudience: 'INVALID_ARGUMENT',
      foreign: 'PERMISSION_DENIED',
      source: `${ID}/python`,
      jwtSource: `${ID}/python`,
    });
  });

  test('spiffe-helper: writes the identity that its hint names, its bundle and a token to files', async (t) => {
    const helper = spiffeHelper();
    if (helper.kind === 'absent') return t.skip(helper.reason);
    await mesh.apply(registrations(await executableOf(helper.command[0] ?? ''), 'helper'));
    const config = join(folder, 'helper.conf');
    const lines = {
      agent_address: join(mesh.dataDir, 'agent', 'agent.sock'),
      cert_dir: folder,
      svid_file_name: 'svid.pem',
      svid_key_file_name: 'svid.key',
      svid_bundle_file_name: 'bundle.pem',
      jwt_bundle_file_name: 'bundle.json',
      hint: 'external',
    };
    const text = Object.entries(lines).map(([name, value]) => `${name} = "${value}"`);
    const jwt = 'jwt_svids = [{ jwt_audience = "reports", jwt_svid_file_name = "jwt.token" }]';
    writeFileSync(config, [...text, 'daemon_mode = false', jwt, ''].join('\n'));
    await succeed(finish(['timeout', '20', ...helper.command, '-config', config]));
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    const leaf = new X509Certificate(read('svid.pem'));
    assert.equal(leaf.subjectAltName, `URI:${ID}/helper-public`);
    assert.ok(leaf.checkPrivateKey(createPrivateKey(read('svid.key'))));
    assert.ok(leaf.verify(new X509Certificate(read('bundle.pem')).publicKey));
    const [, claims = ''] = read('jwt.token').split('.');
    const { aud } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { aud: unknown };
    assert.deepEqual(aud, ['reports']);
    assert.deepEqual(Object.keys(JSON.parse(read('bundle.json'))), ['cluster.local']);
  });

  test('an application under `palisade run` finds its own identity by itself', async (t) => {
    if (go.kind === 'absent') return t.skip(go.reason);
    // As `run` starts it, with nothing but the environment `run` gives.
    const service = await mesh.run('worker', [
      'sh',
      '-c',
      `${commandOf(go).join(' ')} x509; exec sleep 60`,
    ]);
    const [line] = await service.run.printed(/\{"bundles".*\}/);
    assert.deepEqual(JSON.parse(line).svids, [{ id: `${ID}/worker`, hint: '' }]);
  });
});

function commandOf(peer: Peer): readonly string[] {
  return peer.kind === 'found' ? peer.command : [];
}

async function succeed(done: ReturnType<typeof finish>) {
  const finished = await done;
  assert.equal(finished.status, 0, finished.stderr);
  return finished;
}

/** Two identities for whoever runs `path`, with hints. */
function registrations(path: string, name: string): string {
  const one = (account: string, hint: string) => `
apiVersion: palisade.dev/v1
kind: Registration
metadata: { name: ${account} }
spec:
  spiffeId: ${ID}/${account}
  selectors: ["unix:path:${path}"]
  hint: ${hint}
`;
  return `${one(name, 'internal')}---${one(`${name}-public`, 'external')}`;
}
