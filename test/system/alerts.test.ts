// Alerts of a real mesh: each is caused as its runbook says, and what a person is told leads to the cause.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { allow } from './allow.ts';
import { answering } from './applications.ts';
import {
  BIN,
  curlFrom,
  type Finished,
  type Service,
  startTestMesh,
  type TestMesh,
} from './mesh.ts';
import { until, untilStatus } from './until.ts';

type Alert = {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly severity: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly evidence: readonly { readonly text: string }[];
  readonly command: string;
  readonly silenced_by: string | null;
  readonly inhibited_by: string | null;
};

let mesh: TestMesh;
let web: Service;
let intruder: Service;
let brief: Service;

before(async () => {
  mesh = await startTestMesh();
  await mesh.apply(registration('brief', '20s'));
  [brief, web, intruder] = await Promise.all([
    mesh.run('brief', ['sleep', '600']),
    mesh.run('web', ['sleep', '600']),
    mesh.run('intruder', ['sleep', '600']),
    mesh.run('orders', answering("s.end('ok')")),
  ]);
  await mesh.apply(allow('orders', 'web'));
  await untilStatus(200, () => curlFrom(web, 'http://orders/'));
});
after(async () => {
  process.kill(brief.ports.pid, 'SIGCONT');
  await mesh.close();
});

test('an intruder who tries doors pages, and the command of the alert says why it was denied', async () => {
  await tryDoors(intruder);
  const alert = await alertOf(
    'denial-burst',
    // The counts are here before the first record with an id to explain.
    ({ labels, command }) => labels['source'] === 'default/intruder' && /explain/.test(command),
  );
  assert.deepEqual([alert.severity, alert.state, alert.inhibited_by], ['page', 'firing', null]);
  assert.match(alert.command, /^palisade explain \S+$/);
  const explained = await mesh.cli(...alert.command.split(' ').slice(1));
  assert.match(explained.stdout, /intruder/, explained.stderr);
});

test('what the policy decides that was just applied is kept as touched by a rollout', async () => {
  const kept = await until('a record of the rollout', async () => {
    const args = ['--where', 'kept=rollout', '--to', 'orders', '-o', 'json'];
    const { stdout } = await mesh.cli('log', ...args);
    return stdout.trim() === '' ? undefined : stdout;
  });
  const [first = '{}'] = kept.trim().split('\n');
  const { policy, weight } = JSON.parse(first) as { policy: string; weight: number };
  assert.deepEqual([policy, weight], ['default/orders', 1]);
});

test('records that somebody spoils on a sidecar while its agent is away are missed, by number', async () => {
  const { pid = 0 } = mesh.up.child;
  process.kill(pid, 'SIGSTOP');
  try {
    // What is under way to the agent is safe: so many messages wait for an answer at most.
    for (let i = 0; i < 14; i++) {
      await curlFrom(web, 'http://orders/');
      await delay(270);
    }
    await spoilSpool();
    await curlFrom(web, 'http://orders/');
    await delay(300);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  // What the alert `telemetry-gap` is made of once it has lasted a minute (src/control/rehearsals.test.ts waits for that).
  const told = await until('the numbers that are missing', async () => {
    const { stdout, stderr } = await mesh.cli('log', '--to', 'orders', '--since', '5m');
    return /missing/.test(stdout + stderr) ? stdout + stderr : undefined;
  });
  assert.match(told, /missing[^\n]*orders|orders[^\n]*missing/);
});

test('who takes it on is named, and nobody is called until that ends', async () => {
  const made = await mesh.cli(
    'alerts',
    'silence',
    'denial-burst',
    '--label',
    'source=default/intruder',
    '--for',
    '2h',
    '--reason',
    'a test of doors',
    '-o',
    'json',
  );
  assert.equal(made.status, 0, made.stderr);
  const { id } = JSON.parse(made.stdout);
  const quiet = await alertOf('denial-burst', ({ silenced_by }) => silenced_by === id);
  assert.equal(quiet.labels['source'], 'default/intruder');
  const listed = await mesh.cli('alerts', 'silences');
  assert.match(listed.stdout, /a test of doors/);
  assert.equal((await mesh.cli('alerts', 'unsilence', id)).status, 0);
});

test('the denials of a change of policy are explained by its commit', async () => {
  await mesh.apply(allow('orders', 'nobody'));
  await tryDoors(web);
  const alert = await alertOf('denial-burst', ({ labels }) => labels['source'] === 'default/web');
  assert.match(alert.inhibited_by ?? '', /^commit default@\d+$/);
});

test('a sidecar that is stopped is stale, and its certificate of twenty seconds runs out', async () => {
  process.kill(brief.ports.pid, 'SIGSTOP');
  const applied = await apply(allow('orders', 'web'));
  assert.equal(applied.status, 0, applied.stderr);
  const stale = await alertOf('enforcement-point-stale', ofService('brief'));
  assert.equal(stale.severity, 'page');
  assert.match(stale.evidence[0]?.text ?? '', /instead of version/);
  const ending = await alertOf('certificate-expiring', ofService('brief'));
  assert.equal(ending.severity, 'page');
  assert.equal(ending.command, 'palisade ca status');
});

test('objectives have counted what happened', async () => {
  const { stdout, stderr } = await mesh.cli('slo', 'list', '-o', 'json');
  const slos = JSON.parse(stdout || stderr) as { sli: string; state: string; total: number }[];
  const counted = new Set(slos.filter(({ total }) => total > 0).map(({ sli }) => sli));
  for (const sli of [
    'authentication_success',
    'handshake_success',
    'decision_latency',
    'policy_propagation',
    'certificate_horizon',
    'denial_rate',
    'control_availability',
    'control_latency',
  ]) {
    assert.ok(counted.has(sli), `${sli} counted nothing`);
  }
});

function registration(service: string, ttl: string): string {
  return `
apiVersion: palisade.dev/v1
kind: Registration
metadata: { name: ${service} }
spec:
  spiffeId: spiffe://cluster.local/ns/default/sa/${service}
  selectors: ["unix:uid:${process.getuid?.() ?? 0}", "palisade:service:default/${service}"]
  ttl: ${ttl}
`;
}

/** A file of `orders` that its sidecar has written to, and nobody has read: its last bytes are made others. */
async function spoilSpool(): Promise<void> {
  const folder = join(mesh.dataDir, 'proxies', 'default.orders', 'records');
  const name = (await readdir(folder)).findLast((one) => one.endsWith('.spool')) ?? '';
  const file = await open(join(folder, name), 'r+');
  try {
    const { size } = await file.stat();
    await file.write(Buffer.alloc(8, 0x5a), 0, 8, size - 8);
  } finally {
    await file.close();
  }
}

async function tryDoors(from: Service): Promise<void> {
  const urls = Array.from({ length: 30 }, (_, i) => `http://orders/door/${i}`);
  const { status } = await curlFrom(from, ...urls);
  assert.equal(status, 403);
}

async function apply(yaml: string): Promise<Finished> {
  const child = spawn(process.execPath, [BIN, 'apply', '-f', '-', '--data', mesh.dataDir]);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  child.stdin.end(yaml);
  const [code] = await once(child, 'close');
  return { status: code ?? 1, stdout: '', stderr };
}

function ofService(service: string): (alert: Alert) => boolean {
  return ({ labels }) => labels['service'] === service;
}

/** The alert of this name that fits, as soon as there is one. */
function alertOf(name: string, fits: (alert: Alert) => boolean): Promise<Alert> {
  return until(name, async () => {
    const listed = await mesh.cli('alerts', 'list', '--state', 'all', '-o', 'json');
    const alerts = JSON.parse(listed.stdout || '[]') as readonly Alert[];
    return alerts.find((alert) => alert.name === name && fits(alert));
  });
}
