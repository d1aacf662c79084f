import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SinkResource, SinkSpec } from '#resource';
import { createSilentLog } from '#telemetry';
import type { Evidence } from './evidence.ts';
import { fakeAlert, fakeAudit, fakeRecord } from './fake-evidence.ts';
import { createSinkHub, type HubOptions } from './hub.ts';
import { createScheduler } from './scheduler.ts';

function fixture(t: TestContext, options: Partial<HubOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-hub-'));
  const open = () => {
    const hub = createSinkHub({
      folder,
      env: {},
      trustDomain: 'cluster.local',
      version: '0.2.0',
      hostname: 'control-1',
      ownPorts: () => [],
      consoleUrl: () => '',
      sources: {},
      clock: Date.now,
      scheduler: createScheduler(),
      log: createSilentLog(),
      ...options,
    });
    t.after(() => hub.close());
    return hub;
  };
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const lines = (name = 'a'): string[] => {
    const path = join(folder, 'files', `${name}.jsonl`);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  };
  return { open, folder, ids: (name?: string) => lines(name).map((line) => JSON.parse(line).id) };
}

function fileSink(
  name: string,
  evidence: SinkSpec['evidence'],
  more: Partial<SinkSpec> = {},
): SinkResource {
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Sink',
    metadata: { name, namespace: 'palisade-system' },
    spec: {
      evidence,
      format: 'json',
      file: { name: `${name}.jsonl`, maxBytes: 1 << 24, maxFiles: 2 },
      limits: { maxQueueBytes: 1 << 24, maxAge: '1h', maxBatch: 100, timeout: '1s' },
      paused: false,
      ...more,
    },
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`not within 4 s: ${what}`);
}

const records = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => fakeRecord(from + i));
const named = (from: number, to: number) => records(from, to).map(({ id }) => id);

test('a sink gets what it asked for and nothing else', async (t) => {
  const { open, ids } = fixture(t);
  const hub = open();
  await hub.configure([
    fileSink('a', {
      records: { verdicts: ['deny'], services: ['shop/orders'] },
      audit: { actions: ['policy.*'] },
    }),
    fileSink('b', { alerts: { severities: ['page'] } }),
  ]);
  assert.deepEqual(
    ['records', 'audit', 'alerts', 'traces'].map((kind) => hub.wants(kind as never)),
    [true, true, true, false],
  );
  const orders = { 'destination.namespace': 'shop', 'destination.service': 'orders' };
  hub.offer('records', [
    fakeRecord(1, { ...orders, verdict: 'deny' }),
    fakeRecord(2, orders),
    fakeRecord(3, { ...orders, 'destination.namespace': 'bank', verdict: 'deny' }),
  ]);
  const audit = (position: number, action: string) => ({
    ...fakeAudit({ action }),
    id: action,
    position,
  });
  hub.offer('audit', [audit(1, 'policy.commit'), audit(2, 'admin.sign_in'), audit(3, 'policyx.y')]);
  hub.offer('alerts', [
    { ...fakeAlert({ severity: 'page' }), id: 'p' },
    { ...fakeAlert(), id: 't' },
  ]);
  await until('all', () => ids('a').length >= 2 && ids('b').length >= 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual([ids('a').toSorted(), ids('b')], [['policy.commit', 'r-1'], ['p']]);
});

test('one bad sink does not hurt another, nor its own alerts its records', async (t) => {
  const silent = createServer(() => {});
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const sockets: { destroy: () => void }[] = [];
  silent.on('connection', (socket) => sockets.push(socket));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { open, ids } = fixture(t);
  const hub = open();
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const { file: _file, ...hanging } = fileSink('bad', { records: {} }).spec;
  await hub.configure([
    {
      ...fileSink('bad', {}),
      spec: { ...hanging, format: 'otlp', otlpHttp: { endpoint, compression: 'none' } },
    },
    fileSink('a', { records: {}, alerts: {} }),
  ]);
  for (let i = 0; i < 1_000; i += 50) hub.offer('records', records(i, i + 50));
  hub.offer('alerts', [fakeAlert()]);
  await until('the good one', () => ids('a').length === 1_001);
  await until('the bad one', () => hub.state()[0]?.state === 'retrying');
  const [bad, good] = hub.state();
  assert.deepEqual(
    [bad?.lanes[0]?.items, bad?.lanes[0]?.lastError],
    [1_000, 'no answer within 1000 ms'],
  );
  assert.equal(good?.state, 'ok');
});

test('what the source has and a killed process had not queued is read up, once, with what comes meanwhile', async (t) => {
  const stored: Evidence[] = [];
  const waiting: (() => void)[] = [];
  const { open, ids } = fixture(t, {
    sources: {
      records: {
        newest: () => Promise.resolve(stored.at(-1)?.position ?? -1),
        async readAfter(position, limit) {
          const page = stored.filter((item) => item.position > position).slice(0, limit);
          await new Promise<void>((resolve) => waiting.push(resolve));
          return page;
        },
      },
    },
  });
  const store = (hub: ReturnType<typeof open>, from: number, to: number) => {
    stored.push(...records(from, to));
    hub.offer('records', records(from, to));
  };
  let isSlow = false;
  const answering = setInterval(() => {
    if (!isSlow) waiting.shift()?.();
  }, 2);
  t.after(() => clearInterval(answering));
  stored.push(...records(0, 5));
  const first = open();
  await first.configure([fileSink('a', { records: {} })]);
  store(first, 5, 10);
  await until('the first five', () => ids().length === 5);
  await first.close();
  // While nothing ran, and while the second start reads.
  stored.push(...records(10, 2_500));
  const second = open();
  isSlow = true;
  await second.configure([fileSink('a', { records: {} })]);
  await until('a question', () => waiting.length > 0);
  store(second, 2_500, 2_510);
  isSlow = false;
  await until('what came meanwhile', () => ids().length >= 2_505);
  store(second, 2_510, 2_520);
  await until('the rest', () => ids().length >= 2_515);
  assert.deepEqual(ids(), named(5, 2_520));
});

test('a source that cannot be read is read later, and nothing of it is left out', async (t) => {
  const stored: Evidence[] = [];
  let isAway = false;
  const pauses: number[] = [];
  const { after } = createScheduler();
  const { open, ids } = fixture(t, {
    scheduler: {
      after(ms, work) {
        pauses.push(ms);
        // Only the pause after a source that cannot be read: a receiver keeps the time it gets.
        return after(ms === 5_000 ? 10 : ms, work);
      },
    },
    sources: {
      records: {
        newest: () => Promise.resolve(stored.at(-1)?.position ?? -1),
        readAfter: (position, limit) =>
          isAway
            ? Promise.reject(new Error('the database is away'))
            : Promise.resolve(stored.filter((one) => one.position > position).slice(0, limit)),
      },
    },
  });
  stored.push(...records(0, 1));
  const first = open();
  await first.configure([fileSink('a', { records: {} })]);
  stored.push(...records(1, 5));
  first.offer('records', records(1, 5));
  await until('the first', () => ids().length === 4);
  await first.close();
  stored.push(...records(5, 20));
  isAway = true;
  const second = open();
  await second.configure([fileSink('a', { records: {} })]);
  await until('two more tries', () => pauses.filter((ms) => ms === 5_000).length >= 2);
  stored.push(...records(20, 25));
  second.offer('records', records(20, 25));
  isAway = false;
  await until('all', () => ids().length === 24);
  assert.deepEqual(ids(), named(1, 25));
});

test('a change keeps what waits; a sink that is gone takes its queue along; one that cannot start stops nobody', async (t) => {
  const { open, folder, ids } = fixture(t);
  const hub = open();
  await hub.configure([
    fileSink('a', { records: {} }, { paused: true }),
    fileSink('b', { records: {} }),
  ]);
  hub.offer('records', records(1, 6));
  await until('b', () => ids('b').length === 5);
  assert.equal(hub.state().find(({ name }) => name === 'a')?.state, 'paused');
  const { file: _file, ...nothing } = fileSink('c', { records: {} }).spec;
  await hub.configure([fileSink('a', { records: {} }), { ...fileSink('c', {}), spec: nothing }]);
  await until('a', () => ids('a').length === 5);
  assert.deepEqual(
    hub.state().map(({ name }) => name),
    ['a'],
  );
  assert.ok(existsSync(join(folder, 'queues', 'a', 'records')));
  assert.ok(!existsSync(join(folder, 'queues', 'b', 'records')));
});

test('metrics come at the interval of each sink, also after the clock was set back', async (t) => {
  let now = 1_000_000;
  const { open, ids } = fixture(t, { clock: () => now });
  const hub = open();
  await hub.configure([fileSink('a', { metrics: { interval: '30s' } })]);
  let read = 0;
  const meter = () =>
    hub.meter(() => {
      read++;
      const time = new Date(now).toISOString();
      return { time, since: time, families: [] };
    });
  for (const step of [0, 10_000, 19_999, 1, 30_000, -500_000, 1_000]) {
    now += step;
    meter();
  }
  assert.equal(read, 4);
  await until('all', () => ids().length === 4);
});

test('a test goes past the queue and tells what became of each kind', async (t) => {
  const { open, ids } = fixture(t);
  const hub = open();
  await hub.configure([
    fileSink(
      'a',
      { records: {}, audit: {}, traces: {}, metrics: { interval: '1h' } },
      { paused: true },
    ),
  ]);
  const results = await hub.test('a');
  assert.deepEqual(
    results?.map(({ evidence, outcome }) => [evidence, outcome.kind]),
    [
      ['records', 'delivered'],
      ['audit', 'delivered'],
      ['traces', 'delivered'],
      ['metrics', 'delivered'],
    ],
  );
  assert.deepEqual(
    ids(),
    results?.map(({ id }) => id),
  );
  assert.equal(await hub.test('nobody'), undefined);
});

test('two sinks of one file: one writes it, the other says whose it is, until that one is gone', async (t) => {
  const { open, ids } = fixture(t);
  const hub = open();
  const a = fileSink('a', { audit: {} });
  const b = fileSink('b', { audit: {} }, { file: { ...fileOf(a), name: 'a.jsonl' } });
  await hub.configure([b, a]);
  hub.offer('audit', [fakeAudit()]);
  const stateOf = (name: string) => hub.state().find((state) => state.name === name);
  await until('the owner', () => stateOf('a')?.lanes[0]?.delivered === 1);
  await until('the other', () => stateOf('b')?.state === 'retrying');
  assert.match(stateOf('b')?.lanes[0]?.lastError ?? '', /is that of the sink `a`/);
  assert.equal(ids('a').length, 1);
  await hub.configure([b]);
  await until('its turn', () => stateOf('b')?.lanes[0]?.delivered === 1);
});

const fileOf = ({ spec }: SinkResource) => spec.file ?? { name: '', maxBytes: 0, maxFiles: 0 };
