// Every call is accounted for: recorded, or counted as sampled away or dropped, while control plane, CA and agent are
// killed and a sidecar too. What callers counted is compared with what the control plane says of the server's sidecar.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiClient, openSession } from '#client';
import { BIN, type Service, start, startTestMesh, type TestMesh } from './mesh.ts';

const SERVER = `require('http').createServer((q, s) => {
  s.statusCode = q.url.startsWith('/fail') ? 500 : 200;
  s.end();
}).listen(process.env.PORT, '127.0.0.1')`;

const POLICIES = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server }
spec:
  selector: { matchLabels: { app: server } }
  action: ALLOW
  rules: [{ to: [{ operation: { notPaths: ["/denied"] } }] }]
---
apiVersion: palisade.dev/v1
kind: TelemetryPolicy
metadata: { name: all }
spec: { records: { perSecond: 20 } }
`;

const AT_ONCE = 16;
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
/** What callers got, by status. */
const answered = new Map<number, number>();
let mesh: TestMesh;
let client: Service;

before(async () => {
  mesh = await startTestMesh();
  client = await mesh.run('client', ['sleep', '600']);
  await mesh.run('server', [process.execPath, '-e', SERVER]);
  await mesh.apply(POLICIES);
});
after(async () => {
  agent.destroy();
  await mesh.close();
});

type Hour = {
  readonly source: string;
  readonly issued: number;
  readonly arrived: number;
  readonly sampled: number;
  readonly missing: number;
  readonly dropped: Readonly<Record<string, number>>;
};
type Shown = { readonly weight?: number; readonly status: number; readonly node: string };

test('every call is recorded, sampled away or dropped, whoever is killed', async () => {
  await calls(1_000);
  await mesh.up.stop('SIGKILL');
  await calls(1_500);
  const up = start([process.execPath, BIN, 'up', '--port', '0', '--data', mesh.dataDir]);
  try {
    await up.printed(/^ready/m, 30_000);
    await calls(500);
    // What a killed process recorded in its last 100 ms nobody knows, so it had time to write.
    await delay(400);
    process.kill(pidOfServer(), 'SIGKILL');
    await until(async () => (await call('/')) === 200, 'the sidecar is back');
    await calls(500);
    await checkBooks();
  } finally {
    await up.stop();
  }
});

async function checkBooks(): Promise<void> {
  const total = [...answered.values()].reduce((sum, count) => sum + count, 0);
  const api = session();
  const hours = async (): Promise<Hour[]> => {
    const { sources } = await api.call<{ sources: Hour[] }>('GET', '/completeness');
    return sources.filter(({ source }) => source.startsWith('default/server/'));
  };
  const sum = (all: readonly Hour[], of: (hour: Hour) => number): number =>
    all.reduce((so, hour) => so + of(hour), 0);
  await until(async () => sum(await hours(), ({ issued }) => issued) >= total, 'all are told of');
  const all = await hours();
  const dropped = sum(all, (hour) => Object.values(hour.dropped).reduce((a, b) => a + b, 0));
  assert.equal(
    sum(all, ({ issued }) => issued),
    total,
    'one number for each answer',
  );
  assert.equal(
    sum(all, ({ missing }) => missing),
    0,
  );
  const told = sum(all, ({ arrived, sampled }) => arrived + sampled) + dropped;
  assert.equal(told, total);
  assert.ok(sum(all, ({ sampled }) => sampled) > total / 4, 'the rate left out what it should');
  const records = await recordsOf(api);
  assert.equal(
    records.length,
    sum(all, ({ arrived }) => arrived),
  );
  for (const status of [403, 500]) {
    const kept = records.filter((record) => record.status === status).length;
    assert.equal(kept, answered.get(status), `every ${status} is there`);
  }
  const weights = records.reduce((so, { weight = 1 }) => so + weight, 0);
  assert.ok(weights > total * 0.8 && weights <= total, `${weights} of ${total} by weight`);
}

/** All records that the server's sidecar wrote. */
async function recordsOf(api: ApiClient): Promise<Shown[]> {
  const found: Shown[] = [];
  for (let cursor = ''; ; ) {
    const page = await api.call<{ items: Shown[]; next?: string | null }>(
      'GET',
      `/records?reporter=destination&limit=500${cursor}`,
    );
    found.push(...page.items.filter(({ node }) => node.startsWith('default/server/')));
    if (page.next === undefined || page.next === null || page.items.length === 0) return found;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
}

function session(): ApiClient {
  const opened = openSession({ dataDir: mesh.dataDir });
  if (!opened.ok) throw new Error(opened.error);
  return opened.value.api;
}

/** So many calls, one in twenty denied and one in fifty failing. */
async function calls(count: number): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0)
      await call(left % 20 === 0 ? '/denied' : left % 50 === 1 ? '/fail' : '/ok/1');
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function call(path: string): Promise<number> {
  return new Promise((resolve) => {
    const settle = (status: number): void => {
      // A sidecar that is not there has no number for what did not reach it.
      const isServers = status === 200 || status === 403 || status === 500;
      if (isServers) answered.set(status, (answered.get(status) ?? 0) + 1);
      resolve(status);
    };
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: client.ports.outboundPort,
        path,
        headers: { host: 'server' },
        agent,
      },
      (incoming) => {
        incoming.resume();
        incoming.on('end', () => settle(incoming.statusCode ?? 0));
      },
    );
    outgoing.on('error', () => settle(0));
    outgoing.end();
  });
}

function pidOfServer(): number {
  const file = join(mesh.dataDir, 'proxies', 'default.server', 'proxy.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid;
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    if (await holds()) return;
    await delay(200);
  }
  throw new Error(`not in time: ${what}`);
}
