// SPIFFE clients in Rust and Java, which nobody here wrote, against our Workload API; and what each hears as the root rotates.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { finish, start, startTestMesh, type TestMesh } from './mesh.ts';
import { executableOf, javaSpiffe, type Peer, rustSpiffe } from './spiffe-peers.ts';

// Java compiles its client first, which takes its time on a busy machine.
const PATIENCE_MS = 30_000;
const ID = 'spiffe://cluster.local/ns/default/sa';

describe('SPIFFE clients in other languages', () => {
  let mesh: TestMesh;
  let peers: readonly (readonly [string, Peer])[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'palisade-spiffe-'));

  before(async () => {
    let java: Peer;
    [mesh, java] = await Promise.all([startTestMesh(), javaSpiffe(folder)]);
    peers = [
      ['rust', rustSpiffe()],
      ['java', java],
    ];
  });
  after(async () => {
    await mesh.close();
    rmSync(folder, { recursive: true });
  });

  const environment = () => ({
    ...process.env,
    SPIFFE_ENDPOINT_SOCKET: `unix:${join(mesh.dataDir, 'agent', 'agent.sock')}`,
  });
  const fetch = (command: readonly string[]) => {
    const { SPIFFE_ENDPOINT_SOCKET: socket } = environment();
    const call = ['fetch', 'reports', `${ID}/somebody`];
    return finish(['env', `SPIFFE_ENDPOINT_SOCKET=${socket}`, ...command, ...call]);
  };

  for (const language of ['rust', 'java']) {
    test(`${language}-spiffe: identities, bundles, tokens, sources`, async (t) => {
      const peer = peers.find(([name]) => name === language)?.[1];
      if (peer?.kind !== 'found') return t.skip(peer?.reason);
      const denied = await fetch(peer.command);
      assert.match(denied.stderr, /permission.denied|no identity/i);
      await mesh.apply(await registrationsOf(language, peer.command));
      const done = await fetch(peer.command);
      assert.equal(done.status, 0, done.stderr);
      const { roots: _, ...found } = JSON.parse(done.stdout) as Record<string, unknown>;
      assert.deepEqual(found, {
        svids: [
          { id: `${ID}/${language}`, hint: 'internal' },
          { id: `${ID}/${language}-public`, hint: 'external' },
        ],
        x509Bundles: ['cluster.local'],
        jwtBundles: ['cluster.local'],
        local: `${ID}/${language}`,
        remote: `${ID}/${language}`,
        audience: ['reports'],
        wrongAudience: 'InvalidArgument',
        foreign: 'PermissionDenied',
        source: `${ID}/${language}`,
        jwtSource: `${ID}/${language}`,
      });
    });
  }

  test('a root rotation reaches their streams, and so does the end of their identities', async (t) => {
    const found = peers.flatMap(([name, peer]) =>
      peer.kind === 'found' ? [{ name, command: peer.command }] : [],
    );
    if (found.length === 0) return t.skip('neither is here');
    for (const { name, command } of found) {
      await mesh.apply(await registrationsOf(name, command));
    }
    const watchers = found.map(({ command }) => start([...command, 'watch'], environment()));
    t.after(() => Promise.all(watchers.map((each) => each.stop())));
    await Promise.all(
      watchers.map((each) => each.printed(/update: 2 identities, 1 roots/, PATIENCE_MS)),
    );
    const rotated = await mesh.cli('ca', 'rotate', '--timeout', '20s');
    assert.equal(rotated.status, 0, rotated.stderr);
    // Both roots while there are two, and the new one alone once the old one is retired.
    const whole = /update: 2 identities, 2 roots[^]*update: 2 identities, 1 roots/;
    await Promise.all(watchers.map((each) => each.printed(whole, PATIENCE_MS)));
    for (const { name } of found) await mesh.cli('delete', 'Registration', name, '--yes');
    await Promise.all(
      watchers.map((each) => each.printed(/update: 1 identities, 1 roots/, PATIENCE_MS)),
    );
    for (const { name } of found) {
      await mesh.cli('delete', 'Registration', `${name}-public`, '--yes');
    }
    for (const [i, { name, command }] of found.entries()) {
      // java-spiffe tells its watchers of no refusal but of a malformed request: it asks again and again by itself.
      if (name === 'rust') await watchers[i]?.printed(/ended: PermissionDenied/);
      assert.match((await fetch(command)).stderr, /permission.denied|no identity/i);
    }
  });
});

async function registrationsOf(name: string, [program = '']: readonly string[]): Promise<string> {
  const path = await executableOf(program);
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
