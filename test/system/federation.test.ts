// Two meshes of two trust domains, each with its bundle endpoint, and a go-spiffe client of one that calls a sidecar of
// the other.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { finish, freePort, palisade, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { executableOf, goSpiffe, type Peer } from './spiffe-peers.ts';
import { until } from './until.ts';

describe('federation of two meshes', () => {
  let east: TestMesh;
  let west: TestMesh;
  let pages: Service;
  let go: Peer;
  const folder = mkdtempSync(join(tmpdir(), 'palisade-federation-'));
  const ports = { east: 0, west: 0 };

  before(async () => {
    [east, west, go] = await Promise.all([
      startTestMesh('--trust-domain', 'east.example'),
      startTestMesh('--trust-domain', 'west.example'),
      goSpiffe(folder),
    ]);
    ports.east = await publish(east);
    ports.west = await publish(west);
    const serve = `exec python3 -m http.server "$PORT" --bind 127.0.0.1 --directory ${folder}`;
    pages = await west.run('pages', ['sh', '-c', serve]);
  });
  after(async () => {
    await Promise.all([east.close(), west.close()]);
    rmSync(folder, { recursive: true });
  });

  const client = (...args: string[]) => {
    const socket = `unix://${join(east.dataDir, 'agent', 'agent.sock')}`;
    const command = go.kind === 'found' ? go.command : [];
    return finish(['env', `SPIFFE_ENDPOINT_SOCKET=${socket}`, ...command, ...args]);
  };

  test('a workload of one is judged by the policy of the other, by its full principal', async (t) => {
    if (go.kind === 'absent') return t.skip(go.reason);
    await east.apply(registration(await executableOf(go.command[0] ?? '')));
    const url = `https://127.0.0.1:${pages.ports.inboundPort}/`;
    const server = 'spiffe://west.example/ns/default/sa/pages';
    const get = async () => {
      const done = await client('get', url, server);
      return done.status === 0 ? (JSON.parse(done.stdout) as { status: number }).status : 0;
    };
    assert.equal(await get(), 0, 'strangers to each other');
    await east.apply(federation('west.example', ports.west));
    await west.apply(federation('east.example', ports.east));
    // West's own policy for a principal of the same name, and for the namespace, is not for east's.
    await west.apply(allow('west.example/ns/default/sa/go', 'default'));
    await until('it is 403', async () => (await get()) === 403);
    await west.apply(allow('east.example/ns/default/sa/go', 'other'));
    await until('it is 200', async () => (await get()) === 200);
    await west.cli(
      'delete',
      'TrustDomainFederation',
      'east.example',
      '-n',
      'palisade-system',
      '--yes',
    );
    // It has no identity here any more, so nothing is allowed it.
    await until('it is 403', async () => (await get()) === 403);
  });

  test('go-spiffe takes the bundle from the endpoint, as foreign control planes do', async (t) => {
    if (go.kind === 'absent') return t.skip(go.reason);
    const url = `https://127.0.0.1:${ports.east}/bundle`;
    const id = 'spiffe://east.example/ns/default/sa/bundles';
    const done = await client('bundle', url, 'east.example', id);
    assert.equal(done.status, 0, done.stderr);
    const bundle = JSON.parse(done.stdout) as Record<string, number>;
    assert.equal(bundle['x509'], 1);
    assert.equal(bundle['jwt'], 1);
    assert.equal(bundle['hintS'], 300);
    const wrong = await client('bundle', url, 'east.example', 'spiffe://east.example/other');
    assert.notEqual(wrong.status, 0);
  });

  test('the horizon knows until when the foreign bundle is good, and who keeps it', async () => {
    await east.apply(federation('west.example', ports.west));
    const seen = async (): Promise<string> =>
      /bundle of west\.example .*/.exec((await east.cli('ca', 'status')).stdout)?.[0] ?? '';
    await until('it is good', async () => (await seen()).includes(' ok '));
    const { stdout } = await east.cli('ca', 'status', '-o', 'json');
    const { horizon } = JSON.parse(stdout) as { horizon: { what: string; expiresAt: string }[] };
    const item = horizon.find(({ what }) => what === 'bundle of west.example');
    const years = (Date.parse(item?.expiresAt ?? '') - Date.now()) / (365 * 86_400_000);
    assert.ok(years > 9 && years < 11, stdout);
    const answer = await east.cli('ca', 'status');
    assert.match(answer.stdout, /bundle of west\.example +3\d{3}d +ok/);
  });

  /** Starts the bundle endpoint of a mesh as a workload of it; resolves to its port. */
  async function publish(mesh: TestMesh): Promise<number> {
    const port = await freePort();
    const command = palisade('bundle-endpoint', '--listen', `127.0.0.1:${port}`);
    const service = await mesh.run('bundles', command);
    await service.run.printed(/^ready 127/m);
    return port;
  }

  function federation(name: string, port: number): string {
    return `
apiVersion: palisade.dev/v1
kind: TrustDomainFederation
metadata: { name: ${name}, namespace: palisade-system }
spec:
  trustDomain: ${name}
  bundleEndpointURL: https://127.0.0.1:${port}/bundle
  bundleEndpointProfile:
    type: https_spiffe
    endpointSPIFFEID: spiffe://${name}/ns/default/sa/bundles
  trustDomainBundle: '${bundles.get(name)}'
`;
  }

  const bundles = new Map<string, string>();
  before(async () => {
    for (const name of ['east', 'west'] as const) {
      const url = `https://127.0.0.1:${ports[name]}/bundle`;
      const done = await finish(['curl', '-sS', '-k', '--retry', '3', url]);
      bundles.set(`${name}.example`, done.stdout);
    }
  });
});

function registration(path: string): string {
  return `
apiVersion: palisade.dev/v1
kind: Registration
metadata: { name: go }
spec:
  spiffeId: spiffe://east.example/ns/default/sa/go
  selectors: ["unix:path:${path}"]
`;
}

/** One policy by principal, one by namespace. */
function allow(principal: string, namespace: string): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: pages }
spec:
  selector: { matchLabels: { app: pages } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: ["${principal}"] } }, { source: { namespaces: ["${namespace}"] } }]
`;
}
