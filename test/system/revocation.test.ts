// A stolen identity is dead in the whole mesh within a second: new calls, live ones, both sides, over restarts, and with
// the control plane gone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { answering } from './applications.ts';
import { curlFrom, finish, palisade, type Service, start, type TestMesh } from './mesh.ts';
import { type MeshParts, prepareParts } from './mesh-parts.ts';
import { until, untilStatus } from './until.ts';

// Answers at once, or with a line every 20 ms for as long as somebody listens.
const SERVER = answering(`
  if (q.url !== '/stream') return s.end('hello');
  const timer = setInterval(() => s.write('tick\\n'), 20);
  s.on('close', () => clearInterval(timer));`);
const CLIENT_ID = 'spiffe://cluster.local/ns/default/sa/client';

let parts: MeshParts;
let mesh: TestMesh;
let client: Service;

before(async () => {
  parts = await prepareParts();
  for (const part of ['ca', 'control', 'agent'] as const) await parts.start(part);
  mesh = parts.mesh();
  await mesh.apply(`
apiVersion: palisade.dev/v1
kind: Mesh
metadata: { name: mesh }
spec: { trustDomain: cluster.local }
`);
  await mesh.run('server', SERVER);
  client = await mesh.run('client', ['sleep', '600']);
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server, namespace: default }
spec:
  selector: { matchLabels: { app: server } }
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }]
`);
});
after(async () => {
  await mesh.close();
  await parts.close();
  rmSync(parts.dataDir, { recursive: true, force: true });
});

describe('revoking an identity', () => {
  test('it works to begin with', async () => {
    assert.equal((await served()).body, 'hello');
  });

  test('is told in advance by --dry-run: whose certificate, which traffic; and revokes nothing', async () => {
    const told = async () => {
      const dry = await mesh.cli('identity', 'revoke', CLIENT_ID, '--dry-run', '-o', 'json');
      assert.equal(dry.status, 0, dry.stderr);
      return JSON.parse(dry.stdout);
    };
    // Counts are told once a second.
    let preview = await told();
    for (let i = 0; preview.totals.calls === 0 && i < 10; i++) preview = await told();
    assert.deepEqual(preview.target, { kind: 'identity', id: CLIENT_ID, issuedBefore: null });
    const [{ spiffeId, heldBy, outcome }] = preview.identities;
    assert.deepEqual([spiffeId, heldBy.length, outcome], [CLIENT_ID, 1, 'ends']);
    assert.match(heldBy[0], /^default\/client\//);
    const [{ source, destination, side, partly }] = preview.edges;
    assert.deepEqual(
      [source, destination, side, partly],
      ['default/client', 'default/server', 'caller', false],
    );
    assert.equal((await mesh.cli('identity', 'list', '--revoked')).stdout, 'nothing is revoked\n');
    assert.equal((await served()).body, 'hello');
  });

  test('of the caller cuts its live call, refuses new ones and its renewal, until it is lifted', async () => {
    const stream = await openStream();
    const startedAt = performance.now();
    const revoked = await mesh.cli('identity', 'revoke', CLIENT_ID, '--reason', 'a stolen laptop');
    assert.equal(revoked.status, 0, revoked.stderr);
    assert.match(revoked.stdout, /enforced at (\d+) of \1 connected/);
    assert.equal(revoked.stderr, '');
    await stream.cut;
    assert.ok(performance.now() - startedAt < 5000, 'most of it is the start of the command');
    assert.notEqual((await curlFrom(client, 'http://server/')).status, 200);
    const listed = await mesh.cli('identity', 'list', '--revoked', '-o', 'json');
    assert.equal(JSON.parse(listed.stdout)[0].reason, 'a stolen laptop');
    // The sidecar says why it is not ready, in words.
    assert.match((await mesh.cli('status')).stdout, /revoked/);

    const lifted = await mesh.cli('identity', 'unrevoke', 'client');
    assert.equal(lifted.status, 0, lifted.stderr);
    assert.equal((await served()).body, 'hello');
  });

  test('of a name that nobody has is said to stop nobody', async () => {
    const revoked = await mesh.cli('identity', 'revoke', 'cleint');
    assert.equal(revoked.status, 0, revoked.stderr);
    assert.match(revoked.stderr, /^warning: no certificate of `spiffe:.*cleint` is valid now/);
    assert.equal((await curlFrom(client, 'http://server/')).status, 200);
  });

  test('of the server cuts its live calls too', async () => {
    const stream = await openStream();
    assert.equal((await mesh.cli('identity', 'revoke', 'server')).status, 0);
    await stream.cut;
    assert.notEqual((await curlFrom(client, 'http://server/')).status, 200);
    assert.equal((await mesh.cli('identity', 'unrevoke', 'server')).status, 0);
    assert.equal((await served()).body, 'hello');
  });

  test('as issued before now cuts what uses a stolen key, and its owner goes on with a new one', async () => {
    const stream = await openStream();
    const before = await serialOf('client');
    assert.equal(
      (await mesh.cli('identity', 'revoke', 'client', '--issued-before', 'now')).status,
      0,
    );
    await stream.cut;
    assert.equal((await served()).body, 'hello');
    assert.notEqual(await serialOf('client'), before);
  });

  test('of one serial replaces that certificate', async () => {
    const serial = await serialOf('client');
    assert.equal((await mesh.cli('identity', 'revoke', serial)).status, 0);
    assert.equal((await served()).body, 'hello');
    assert.notEqual(await serialOf('client'), serial);
    // Outsiders find it in a list that the CA publishes.
    const list = join(parts.dataDir, 'ca', 'crl.pem');
    const openssl = ['openssl', 'crl', '-in', list, '-noout', '-text'];
    const isListed = async () => (await finish(openssl)).stdout.includes(serial.toUpperCase());
    await until('the serial is listed', isListed);
  });

  test('of a host ends all it asked for, and is lifted', async () => {
    const host = `agent/${hostname().toLowerCase()}`;
    assert.equal((await mesh.cli('identity', 'revoke', host)).status, 0);
    assert.notEqual((await curlFrom(client, 'http://server/')).status, 200);
    assert.equal((await mesh.cli('identity', 'unrevoke', host)).status, 0);
    assert.equal((await served()).body, 'hello');
  });

  test('holds when the control plane is gone, over a restart of agent and sidecar', async () => {
    assert.equal((await mesh.cli('identity', 'revoke', 'client')).status, 0);
    await parts.running.get('control')?.stop('SIGKILL');
    await parts.running.get('agent')?.stop('SIGKILL');
    await parts.start('agent');
    assert.notEqual((await curlFrom(client, 'http://server/')).status, 200);
    await parts.start('control');
    assert.equal((await mesh.cli('identity', 'unrevoke', 'client')).status, 0);
    assert.equal((await served()).body, 'hello');
  });
});

test('with control plane and CA gone, it is handed to an agent and reaches the others', async () => {
  // The second host: what an operator copies there, and nothing else.
  const second = mkdtempSync(join(tmpdir(), 'palisade-second-'));
  mkdirSync(join(second, 'ca'));
  for (const file of ['trust-root.json', 'mesh.json', 'ca/join-token-agent']) {
    copyFileSync(join(parts.dataDir, file), join(second, file));
  }
  const settings = JSON.parse(readFileSync(join(second, 'mesh.json'), 'utf8'));
  const agentSocket = join(second, 'agent', 'agent.sock');
  writeFileSync(join(second, 'mesh.json'), JSON.stringify({ ...settings, agentSocket }));
  await parts.running.get('agent')?.stop();
  const agents = await Promise.all(
    [parts.dataDir, second].map(async (data, index) => {
      const flags = ['--data', data, '--host-name', `host-${index}`, '--peers', '127.0.0.1:0'];
      const agent = start(palisade('agent', ...flags));
      await agent.printed(/^ready/m, 30_000);
      return agent;
    }),
  );
  try {
    const known = () => textOf(join(second, 'agent', 'endpoints.json'));
    await until('the agents know of each other', () => known().includes('agent/host-0'));
    for (const part of ['control', 'ca'] as const) await parts.running.get(part)?.stop('SIGKILL');
    const revoked = await mesh.cli('identity', 'revoke', 'client', '--reason', 'nobody is home');
    assert.equal(revoked.status, 0, revoked.stderr);
    assert.match(revoked.stdout, /the control plane is away/);
    // The agent has it when the command ends; its sidecars a moment later.
    let status = 200;
    const calledUntil = performance.now() + 1000;
    while (status === 200 && performance.now() < calledUntil) {
      ({ status } = await curlFrom(client, 'http://server/'));
    }
    assert.notEqual(status, 200);
    const taken = () => textOf(join(second, 'agent', 'revocations.jsonl'));
    const before = readFileSync(join(parts.dataDir, 'author', 'revocations.jsonl'), 'utf8');
    const [last = ''] = before.trim().split('\n').slice(-1);
    const { payload } = JSON.parse(last) as { payload: string };
    await until('it reached the second agent', () => taken().includes(payload));
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
    rmSync(second, { recursive: true, force: true });
  }
});

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** A call that streams; `cut` resolves when it was ended from outside. */
async function openStream(): Promise<{ readonly cut: Promise<unknown> }> {
  await served();
  const proxy = `http://127.0.0.1:${client.ports.outboundPort}`;
  const args = ['-sS', '-N', '--max-time', '15', '--proxy', proxy, 'http://server/stream'];
  const child = spawn('curl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  child.stdout.resume();
  return {
    cut: ended.then(([code]) => {
      // 28 would be curl's own time-out.
      assert.notEqual(code, 28, 'the stream went on');
      assert.notEqual(code, 0, 'the stream ended well');
    }),
  };
}

async function serialOf(account: string): Promise<string> {
  const shown = await mesh.cli('identity', 'show', account, '-o', 'json');
  assert.equal(shown.status, 0, shown.stderr);
  const all = JSON.parse(shown.stdout) as { serial: string; current: boolean }[];
  return all.find(({ current }) => current)?.serial ?? '';
}

/** Calls until it is served. */
function served(): ReturnType<typeof curlFrom> {
  return untilStatus(200, () => curlFrom(client, 'http://server/'));
}
