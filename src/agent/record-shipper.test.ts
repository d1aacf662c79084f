import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  type AccessLog,
  createAccessLog,
  createProxyMetrics,
  createRecordedCall,
  createRecordedConnection,
  createSilentLog,
} from '#telemetry';
import {
  createFakeDistribution,
  createFakeMesh,
  type FakeDistribution,
  startFakeAgent,
} from './fake-mesh.ts';
import { createRecordShipper, readShippedSeq } from './record-shipper.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
let folders = 0;

const connection = createRecordedConnection({
  kind: 'http',
  reporter: 'destination',
  sourceId: null,
  sourceService: 'web',
  sourceIp: null,
  destinationId: null,
  destinationService: 'orders',
  destinationNamespace: 'shop',
  destinationPort: 80,
  sni: null,
  tlsVersion: null,
  tlsCipher: null,
  tlsGroup: null,
  peerSerial: null,
});

test('all denials and errors are shipped, the rest within the budget, and what is left out is counted', async () => {
  const world = await start({ budgetPerSecond: 5 });
  for (let i = 0; i < 100; i++) recordCall(world.accessLog, i % 10 === 0);
  await world.accessLog.flushed();
  await world.distribution.until(() => lastSeq(world.distribution) === 100 || undefined);
  const records = shipped(world.distribution);
  const denied = records.filter(({ verdict }) => verdict === 'deny');
  assert.equal(denied.length, 10);
  const skipped = world.distribution.reports.reduce((sum, each) => sum + sampledOf(each), 0);
  assert.equal(records.length + skipped, 100);
  // Five at once, and what a slow test's seconds earn on top.
  assert.ok(records.length - denied.length >= 5 && records.length - denied.length < 50);
  assert.deepEqual(
    records.map(({ seq }) => seq),
    records.map(({ seq }) => seq).sort((a, b) => a - b),
  );
  assert.equal(world.shipper.counts().skipped, skipped);
  await world.end();
});

test('nothing is forgotten before it is acknowledged, over an outage and a restart', async () => {
  const world = await start();
  world.distribution.isAcking = false;
  recordCall(world.accessLog, true);
  await world.accessLog.flushed();
  await world.distribution.until(() => lastSeq(world.distribution) === 1 || undefined);
  assert.equal(world.shipper.counts().unacked, 1);
  await world.end();
  assert.equal(readShippedSeq(world.folder), 0);
  const again = await start({ folder: world.folder });
  recordCall(again.accessLog, true);
  await again.accessLog.flushed();
  await again.distribution.until(() => lastSeq(again.distribution) === 2 || undefined);
  assert.deepEqual(
    shipped(again.distribution).map(({ seq }) => seq),
    [1, 2],
  );
  while (again.shipper.counts().unacked > 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  await again.end();
  assert.equal(readShippedSeq(world.folder), 2);
});

test('an agent that comes back gets what was recorded meanwhile', async () => {
  const world = await start();
  await world.agent.close();
  recordCall(world.accessLog, true);
  await world.accessLog.flushed();
  const distribution = createFakeDistribution();
  const agent = await startFakeAgent(mesh, distribution);
  await distribution.until(() => lastSeq(distribution) === 1 || undefined);
  assert.equal(shipped(distribution).length, 1);
  await world.end();
  await agent.close();
});

test('counts per edge are reported as deltas, under the name of the node', async () => {
  const world = await start();
  const edge = world.metrics.edge({
    reporter: 'destination',
    sourceId: 'spiffe://example.org/ns/shop/sa/web',
    sourceService: 'web',
    sourceNamespace: 'shop',
    destinationId: null,
    destinationService: 'orders',
    destinationNamespace: 'shop',
    protocol: 'http',
    mtls: true,
  });
  const call = { ...createRecordedCall(connection), durationUs: 1.5, bytesOut: 9 };
  world.metrics.countCall(edge, call);
  const report = await world.distribution.until(() =>
    world.distribution.reports.find(({ edges }) => edges.length > 0),
  );
  assert.equal(report.node, 'shop/orders/1');
  assert.equal(report.edges[0]?.denied, 1n);
  assert.equal(report.edges[0]?.bytesOut, 9n);
  assert.equal(report.edges[0]?.sourceService, 'web');
  await world.end();
});

async function start(more: { folder?: string; budgetPerSecond?: number } = {}) {
  const folder = more.folder ?? join(mesh.folder, `shipper-${++folders}`);
  const distribution = createFakeDistribution();
  const agent = await startFakeAgent(mesh, distribution);
  const accessLog = createAccessLog({ folder: join(folder, 'records') });
  const metrics = createProxyMetrics({
    workload: { service: 'orders', namespace: 'shop', trustDomain: 'example.org' },
    clock: Date.now,
  });
  const shipper = createRecordShipper({
    accessLog,
    metrics,
    agentSocket: mesh.socketPath,
    node: 'shop/orders/1',
    folder,
    budgetPerSecond: more.budgetPerSecond ?? 200,
    clock: Date.now,
    log: createSilentLog(),
  });
  return {
    folder,
    distribution,
    agent,
    accessLog,
    metrics,
    shipper,
    async end() {
      await shipper.close();
      accessLog.close();
      await agent.close();
    },
  };
}

function recordCall(log: AccessLog, isDenial: boolean): void {
  const call = createRecordedCall(connection);
  log.record({
    ...call,
    startedAt: Date.now(),
    path: '/',
    status: isDenial ? 403 : 200,
    verdict: isDenial ? 'deny' : 'allow',
    reason: isDenial ? 'policy_denied' : null,
  });
}

function shipped({ reports }: FakeDistribution): { seq: number; verdict: string }[] {
  return reports.flatMap(({ records }) =>
    records.map(
      (bytes) => JSON.parse(Buffer.from(bytes).toString()) as { seq: number; verdict: string },
    ),
  );
}

function sampledOf({ accounts }: FakeDistribution['reports'][number]): number {
  return accounts.reduce((sum, { sampled }) => sum + Number(sampled), 0);
}

function lastSeq({ reports }: FakeDistribution): number {
  return Number(reports.at(-1)?.lastSeq ?? 0);
}
