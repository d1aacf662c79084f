// A sidecar killed under load: `palisade run` starts it again, it enforces from disk while control plane and agent are
// gone, and serves in under a second; calls to the other instance go on meanwhile.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { availableParallelism, loadavg } from 'node:os';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { allow } from './allow.ts';
import { answering } from './applications.ts';
import { type Service, sidecarOf, startTestMesh, type TestMesh } from './mesh.ts';
import { until, untilStatus } from './until.ts';

const SERVER = answering(`s.end(process.env.PORT + ' ' + q.headers['x-id'])`);
const ROUNDS = 3;
// What is waited for is measured.
const OFTEN = { everyMs: 10 };
let mesh: TestMesh;
let client: Service;

before(async () => {
  mesh = await startTestMesh();
  client = await mesh.run('client', ['sleep', '600']);
  await mesh.run('server', SERVER);
  await mesh.apply(allow('server', 'client', '{ paths: [/open] }'));
  await untilStatus(200, () => call('/open'));
});
after(() => mesh.close());

let calls = 0;

type Answer = { readonly status: number; readonly isOwn: boolean };

/** One call of the client's application, over a connection of its own; status 0 if it broke. */
function call(path: string): Promise<Answer> {
  const id = `${++calls}`;
  return new Promise((resolve) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: client.ports.outboundPort,
        path,
        headers: { host: 'server', 'x-id': id },
        timeout: 5_000,
        agent: false,
      },
      (incoming) => {
        let text = '';
        incoming.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
        incoming.on('error', () => resolve({ status: 0, isOwn: true }));
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            isOwn: incoming.statusCode !== 200 || text.endsWith(` ${id}`),
          }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.on('error', () => resolve({ status: 0, isOwn: true }));
    outgoing.end();
  });
}

test('killed under load, it serves again from disk in under a second, and denies what it denied', async (t) => {
  const took: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let isOver = false;
    const answers: Answer[] = [];
    const load = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (!isOver) {
          answers.push(await call('/open'), await call('/secret'));
          await delay(5);
        }
      }),
    );
    await delay(500);
    // From here on there is nobody to ask: what it enforces comes from its own folder.
    const { pid } = sidecarOf(mesh, 'server');
    process.kill(pid, 'SIGKILL');
    const killedAt = performance.now();
    await until('its successor', () => sidecarOf(mesh, 'server').pid !== pid && isReady(), OFTEN);
    await untilStatus(200, () => call('/open'), OFTEN);
    took.push(performance.now() - killedAt);
    isOver = true;
    await load;
    assert.ok(
      answers.every(({ isOwn }) => isOwn),
      'somebody got the answer of somebody else',
    );
    for (const { status } of answers) {
      // The application answers 200 to everything: anything else on /secret would be its sidecar's mercy.
      assert.ok([200, 403, 502, 503, 504, 0].includes(status), `${status}`);
    }
    assert.equal((await call('/secret')).status, 403);
  }
  t.diagnostic(`served again after ${took.map((ms) => Math.round(ms)).join(', ')} ms`);
  // A second of a machine that has a core for it; one that many share takes as much longer.
  const limitMs = 1_000 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
  assert.ok(
    Math.min(...took) < limitMs,
    `${took.map((ms) => Math.round(ms)).join(', ')} ms, at most ${limitMs}`,
  );
});

test('the same with control plane and CA gone', async (t) => {
  await mesh.up.stop('SIGKILL');
  process.kill(sidecarOf(mesh, 'server').pid, 'SIGKILL');
  const killedAt = performance.now();
  await untilStatus(200, () => call('/open'), OFTEN);
  t.diagnostic(`served again after ${Math.round(performance.now() - killedAt)} ms`);
  assert.equal((await call('/secret')).status, 403);
});

async function isReady(): Promise<boolean> {
  try {
    return (await fetch(`${sidecarOf(mesh, 'server').metricsUrl}/healthz/ready`)).ok;
  } catch {
    // Its port is not open yet.
    return false;
  }
}
