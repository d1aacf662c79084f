// The root of the mesh is replaced while it works: under load, with somebody stuck, and over a crash.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { answering } from './applications.ts';
import { type AuthorityStatus, authorityStatus } from './authority-status.ts';
import { reopenMesh, startTestMesh } from './mesh.ts';
import { until } from './until.ts';

test('the root is rotated under load: nothing fails, all stand under the new one, and it is resumed where it was', async () => {
  const mesh = await startTestMesh();
  try {
    await mesh.run('server', answering("s.end('hello')"));
    const client = await mesh.run('client', ['sleep', '600']);
    await mesh.apply(ALLOW_CLIENT);
    const rehearsed = await mesh.cli('ca', 'rotate', '--rehearse');
    assert.equal(rehearsed.status, 0, rehearsed.stdout + rehearsed.stderr);
    const before = await authorityStatus(mesh);
    const load = startLoad(client.ports.outboundPort);
    const rotated = await mesh.cli('ca', 'rotate', '-o', 'json', '--timeout', '20s');
    assert.equal(rotated.status, 0, rotated.stderr);
    const steps = JSON.parse(rotated.stdout).steps as {
      step: string;
      followed: number;
      of: number;
    }[];
    assert.deepEqual(
      steps.map(({ step }) => step),
      ['prepare', 'distribute', 'activate', 'retire'],
    );
    for (const { step, followed, of } of steps) assert.equal(followed, of, step);
    await delay(500);
    const { failed, served } = await load.stop();
    assert.deepEqual(failed, []);
    assert.ok(served > 50, `${served} requests were served`);
    const after = await authorityStatus(mesh);
    assert.equal(after.phase, 'idle');
    assert.equal(after.trustRootVersion, before.trustRootVersion + 3);
    assert.notEqual(after.roots[0]?.sha256, before.roots[0]?.sha256);
    assert.equal(after.roots[0]?.points, steps.at(-1)?.of);

    // Everything of the old key is refused from now on, and the key is gone.
    assert.equal(existsSync(join(mesh.dataDir, 'ca', 'ca.key')), false);
    await mesh.up.stop('SIGKILL');
    const again = await reopenMesh(mesh.dataDir);
    assert.equal((await again.cli('ca', 'rotate', '--timeout', '20s')).status, 0, 'and once more');
    await again.stop();
  } finally {
    await mesh.close();
  }
});

test('a rotation waits for a stuck agent and names it, and can be taken back', async () => {
  const mesh = await startTestMesh();
  try {
    const server = await mesh.run('server', answering("s.end('hello')"));
    const before = await authorityStatus(mesh);
    process.kill(server.ports.pid, 'SIGSTOP');
    const stuck = await mesh.cli('ca', 'rotate', '--timeout', '2s');
    process.kill(server.ports.pid, 'SIGCONT');
    assert.equal(stuck.status, 1, stuck.stdout);
    assert.match(stuck.stderr, /default\/server\/.*instead of/);
    assert.equal((await authorityStatus(mesh)).phase, 'distributing');
    const aborted = await mesh.cli('ca', 'rotate', '--abort', '--timeout', '20s');
    assert.equal(aborted.status, 0, aborted.stderr);
    const after = await authorityStatus(mesh);
    assert.equal(after.phase, 'idle');
    assert.equal(after.roots[0]?.sha256, before.roots[0]?.sha256);
  } finally {
    await mesh.close();
  }
});

test('tainted: who does not follow is left behind, and nothing of before counts any more', async () => {
  const mesh = await startTestMesh();
  const kids = () => {
    const path = join(mesh.dataDir, 'ca', 'jwt-keys.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as { keys: { pem: string }[] }).keys;
  };
  try {
    const stuck = await mesh.run('stuck', ['sleep', '600']);
    await mesh.run('server', answering("s.end('hello')"));
    const client = await mesh.run('client', ['sleep', '600']);
    await mesh.apply(ALLOW_CLIENT);
    const before = await authorityStatus(mesh);
    const keysBefore = new Set(kids().map(({ pem }) => pem));
    process.kill(stuck.ports.pid, 'SIGSTOP');
    const flags = ['--taint', '--timeout', '7s', '-o', 'json'];
    const rotated = await mesh.cli('ca', 'rotate', ...flags);
    process.kill(stuck.ports.pid, 'SIGCONT');
    assert.equal(rotated.status, 0, rotated.stderr);
    const steps = JSON.parse(rotated.stdout).steps as { followed: number; of: number }[];
    assert.equal(steps.at(-1)?.followed, (steps.at(-1)?.of ?? 0) - 1, rotated.stdout);
    const after = await mesh.cli('ca', 'status', '-o', 'json');
    const { phase, roots } = JSON.parse(after.stdout) as AuthorityStatus;
    assert.equal(phase, 'idle');
    assert.deepEqual(
      roots.map(({ sha256 }) => sha256).filter((root) => root === before.roots[0]?.sha256),
      [],
    );
    const isKept = () => kids().some(({ pem }) => keysBefore.has(pem));
    await until('no key of JWT-SVIDs of before is left', () => !isKept());
    const revoked = await mesh.cli('identity', 'list', '--revoked');
    assert.match(revoked.stdout, /everything issued before .*tainted/);
    const load = startLoad(client.ports.outboundPort);
    await delay(500);
    const { failed, served } = await load.stop();
    assert.deepEqual(failed, []);
    assert.ok(served > 10, String(served));
  } finally {
    await mesh.close();
  }
});

const ALLOW_CLIENT = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server, namespace: default }
spec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }] }] }
`;

const REASON = 'x-palisade-reason';

/** Two callers, one after the other's answer, through the sidecar's outbound port. */
function startLoad(proxyPort: number) {
  const failed: string[] = [];
  let served = 0;
  let isOver = false;
  const agent = new Agent({ keepAlive: true });
  const call = async (): Promise<void> => {
    while (!isOver) {
      const status = await new Promise<string>((resolve) => {
        const headers = { host: 'server' };
        const options = { port: proxyPort, path: 'http://server/', headers, agent };
        request(options, (response) => {
          response.resume();
          const { [REASON]: reason = '' } = response.headers;
          response.on('end', () => resolve(`${response.statusCode} ${reason}`.trim()));
          response.on('error', (error) => resolve(error.message));
        })
          .on('error', (error) => resolve(error.message))
          .end();
      });
      if (status === '200') served++;
      else failed.push(status);
      await delay(5);
    }
  };
  const callers = [call(), call()];
  return {
    async stop() {
      isOver = true;
      await Promise.all(callers);
      agent.destroy();
      return { failed, served };
    },
  };
}
