import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  type AccessLog,
  type Account,
  createAccessLog,
  createProxyMetrics,
  createRecordedCall,
  createRecordedConnection,
  createSampler,
  createSilentLog,
  type EdgeCounters,
  type EdgeKey,
  type RecordedCall,
  unpackLines,
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

const EDGE: EdgeKey = {
  reporter: 'destination',
  sourceId: 'spiffe://example.org/ns/shop/sa/web',
  sourceService: 'web',
  sourceNamespace: 'shop',
  destinationId: null,
  destinationService: 'orders',
  destinationNamespace: 'shop',
  protocol: 'http',
  mtls: true,
};

test('what is shipped accounts for every call, whether its record was kept or not', async () => {
  const world = await start({ perSecond: 5 });
  const edge = world.metrics.edge(EDGE);
  for (let i = 0; i < 1_000; i++) recordCall(world.accessLog, i % 10 === 0, edge);
  await world.accessLog.flushed();
  await world.distribution.until(() => lastSeq(world.distribution) === 1_000 || undefined);
  const records = shipped(world.distribution);
  const denied = records.filter(({ verdict }) => verdict === 'deny');
  assert.equal(denied.length, 100);
  const accounts = world.distribution.reports.flatMap((report) => report.accounts);
  const sampled = accounts.reduce((sum, account) => sum + Number(account.sampled), 0);
  assert.equal(records.length + sampled, 1_000);
  assert.ok(records.length < 500, `${records.length}`);
  assert.ok(accounts.every(({ boot }) => boot === world.accessLog.boot));
  let next = 1n;
  for (const { firstSeq, lastSeq: last } of accounts) {
    assert.equal(firstSeq, next);
    next = last + 1n;
  }
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

test('an outage is over however long the disk took when it was noticed', async () => {
  const world = await start();
  await world.end();
  const tasks: (() => void)[] = [];
  const gate = Promise.withResolvers<void>();
  recordCall(world.accessLog, true);
  const shipper = createRecordShipper({
    ...world.options,
    accessLog: {
      ...world.options.accessLog,
      counts: () => ({ ...world.accessLog.counts(), lastSeq: 1 }),
      async readAfter() {
        await gate.promise;
        return { accounts: [], blocks: [], records: 0, isFull: false };
      },
    },
    scheduler: {
      after(_, work) {
        tasks.push(work);
        return () => undefined;
      },
    },
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  tasks.shift()?.();
  // Nobody listens, and the disk still reads: the next try comes too early.
  while (tasks.length === 0) await turn();
  tasks.shift()?.();
  gate.resolve();
  for (let turns = 0; turns < 100 && tasks.length === 0; turns++) await turn();
  assert.equal(tasks.length, 1);
  await shipper.close();
});

test('many calls are told of once a second, few four times, and a backlog at once', async () => {
  const world = await start();
  const waits: number[] = [];
  let work: (() => void) | undefined;
  let issued = 0;
  let room = Number.POSITIVE_INFINITY;
  const shipper = createRecordShipper({
    ...world.options,
    accessLog: {
      boot: world.accessLog.boot,
      acknowledge: () => undefined,
      counts: () => ({ ...world.accessLog.counts(), lastSeq: issued }),
      async readAfter(seq) {
        const last = Math.min(issued, seq + room);
        const accounts = [accountOf(seq + 1, last)];
        return { accounts, blocks: [], records: 0, isFull: last < issued };
      },
    },
    scheduler: {
      after(ms, next) {
        waits.push(ms);
        work = next;
        return () => undefined;
      },
    },
  });
  const tick = async (calls: number) => {
    issued += calls;
    const ticks = waits.length;
    work?.();
    while (waits.length === ticks) await new Promise((resolve) => setImmediate(resolve));
    return waits.at(-1);
  };
  assert.equal(await tick(200), 250);
  assert.equal(await tick(201), 1_000);
  assert.equal(await tick(0), 250);
  // More than may be under way unacknowledged: what is left does not wait for a second.
  room = 100;
  assert.equal(await tick(2_000), 250);
  await shipper.close();
  await world.end();
});

test('counts per edge are reported as deltas, under the name of the node', async () => {
  const world = await start();
  const edge = world.metrics.edge(EDGE);
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

async function start(more: { folder?: string; perSecond?: number } = {}) {
  const folder = more.folder ?? join(mesh.folder, `shipper-${++folders}`);
  const distribution = createFakeDistribution();
  const agent = await startFakeAgent(mesh, distribution);
  const accessLog = createAccessLog({
    folder: join(folder, 'records'),
    sampler: createSampler(more.perSecond),
  });
  const metrics = createProxyMetrics({
    workload: { service: 'orders', namespace: 'shop', trustDomain: 'example.org' },
    clock: Date.now,
  });
  const options = {
    accessLog,
    metrics,
    agentSocket: mesh.socketPath,
    node: 'shop/orders/1',
    folder,
    clock: Date.now,
    log: createSilentLog(),
  };
  const shipper = createRecordShipper(options);
  return {
    options,
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

function recordCall(log: AccessLog, isDenial: boolean, edge?: EdgeCounters): void {
  const call: RecordedCall = {
    ...createRecordedCall(connection),
    startedAt: Date.now(),
    path: '/',
    status: isDenial ? 403 : 200,
    verdict: isDenial ? 'deny' : 'allow',
    reason: isDenial ? 'policy_denied' : null,
  };
  log.record(call, edge);
}

function accountOf(firstSeq: number, lastSeq: number): Account {
  const dropped = { success: 0, error: 0, denial: 0, audit: 0 };
  const range = { boot: 'test', firstSeq, lastSeq, sinceMs: 0, untilMs: 0 };
  return { ...range, records: 0, sampled: 0, dropped, damaged: 0, afterCrash: false };
}

function shipped({ reports }: FakeDistribution): { seq: number; verdict: string }[] {
  const blocks = reports.flatMap((report) => report.blocks.map(unpackLines));
  const texts = blocks.map((lines) =>
    lines.ok ? lines.value.toString() : assert.fail(lines.error),
  );
  const lines = texts.join('').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as { seq: number; verdict: string });
}

function lastSeq({ reports }: FakeDistribution): number {
  return Number(reports.at(-1)?.lastSeq ?? 0);
}
