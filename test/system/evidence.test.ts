// Every single call accounted for: a mesh under load while sidecars, the control plane and a receiver of records are killed
// again and again. What the caller counted is what is on record, was sampled, or falls into a gap that is named; and the
// receiver has, once, what the store has. `PALISADE_EVIDENCE_SECONDS=300` is the long run.
import assert from 'node:assert/strict';
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openSession, type Session } from '../../src/client/index.ts';
import { answering } from './applications.ts';
import { meshIn, type Running, type Service, sidecarOf, startTestMesh, startUp } from './mesh.ts';
import { until } from './until.ts';

const SECONDS = Number(process.env['PALISADE_EVIDENCE_SECONDS'] ?? 24);
/** Of a sidecar that is killed, the calls of its last moments are not known: 100 ms, and the time until the signal bites. */
const UNKNOWN_MS = 500;

const resources = (port: number): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders }
spec:
  selector: { matchLabels: { app: orders } }
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/web] } }]
      to: [{ operation: { methods: [GET] } }]
---
apiVersion: palisade.dev/v1
kind: TelemetryPolicy
metadata: { name: budget }
spec: { records: { perSecond: 40 } }
---
apiVersion: palisade.dev/v1
kind: Sink
metadata: { name: receiver, namespace: palisade-system }
spec:
  evidence: { records: {} }
  webhook: { endpoint: "http://127.0.0.1:${port}/", signing: { secret: { env: PALISADE_SINK_RECEIVER } } }
  limits: { timeout: 2s }
`;

/** One call that the application got an answer to. */
type Call = {
  readonly path: string;
  readonly status: number;
  readonly reason: string;
  readonly at: number;
};

/** A sidecar or the control plane, and when it was killed. */
type Kill = { readonly what: 'web' | 'orders' | 'up'; readonly at: number };

test('every call is on record, sampled, or in a gap that has a name', {
  timeout: (SECONDS + 180) * 1000,
}, async (t) => {
  process.env['PALISADE_SINK_RECEIVER'] = 'a secret of this test alone';
  const receiver = await startReceiver();
  const first = await startTestMesh();
  const { dataDir } = first;
  let up: Running = first.up;
  const services: Service[] = [];
  try {
    services.push(await first.run('orders', answering("s.end('ok')")));
    services.push(await first.run('web', ['sleep', '3600']));
    await first.apply(resources(receiver.port));
    const load = startLoad(services[1]?.ports.outboundPort ?? 0);
    const kills: Kill[] = [];
    const endAt = Date.now() + SECONDS * 1000;
    for (let round = 0; Date.now() < endAt; round++) {
      await delay(2_000);
      receiver.mode(round % 2 === 0 ? 'works' : round % 4 === 1 ? 'fails' : 'hangs');
      const what = (['web', 'orders', 'up'] as const)[round % 3] ?? 'web';
      kills.push({ what, at: Date.now() });
      if (what === 'up') {
        await up.stop('SIGKILL');
        await delay(500);
        up = await startUp(dataDir);
      } else process.kill(sidecarOf(first, what).pid, 'SIGKILL');
    }
    receiver.mode('works');
    await until('the mesh serves again', async () => (await load.served()) >= 20);
    const calls = await load.stop();
    const session = openSession({ dataDir });
    assert.ok(session.ok);
    const stored = await settled(session.value, receiver);
    const sides = [
      { side: 'web', reporter: 'source' },
      { side: 'orders', reporter: 'destination' },
    ] as const;
    for (const { side, reporter } of sides) {
      const sources: readonly SourceHour[] = (await completeness(session.value)).filter(
        ({ service }) => service === `default/${side}`,
      );
      const sum = (of: (hour: SourceHour) => number): number =>
        sources.reduce((total, hour) => total + of(hour), 0);
      const issued = sum((hour) => hour.issued);
      const dropped = sum((hour) => Object.values(hour.dropped).reduce((a, b) => a + b, 0));
      const [arrived, sampled, missing] = [
        sum((hour) => hour.arrived),
        sum((hour) => hour.sampled),
        sum((hour) => hour.missing),
      ];
      assert.equal(issued, arrived + sampled + dropped + missing, `${side}: the books balance`);
      assert.equal(missing, 0, `${side}: no number is missing ${JSON.stringify(sources)}`);
      const own = stored.filter((record) => record.reporter === reporter);
      assert.equal(own.length, arrived, `${side}: what arrived is stored, once`);
      const weight = own.reduce((total, record) => total + (record.weight ?? 1), 0);
      // Calls that no later record stands for yet when a sidecar dies are in its books all the same.
      assert.ok(weight <= arrived + sampled, `${side}: no weight stands for a call twice`);
      assert.ok(weight > 0.97 * (arrived + sampled), `${side}: weights stand for what was sampled`);
      // Against what the caller saw: nothing but the last moments before a kill may be without a record.
      const answered = calls.filter(({ status }) => side === 'web' || reachedOrders(status));
      const unknown = answered.filter(({ at }) => isUnknown(at, kills, side)).length;
      assert.ok(
        issued >= answered.length - unknown,
        `${side}: ${issued} issued, ${answered.length} answered, ${unknown} unknown`,
      );
      const crashes = sources.flatMap(({ gaps }) => gaps).filter(({ why }) => why === 'crash');
      const killed = kills.filter(({ what }) => what === side).length;
      assert.ok(crashes.length <= killed && (killed === 0 || crashes.length > 0), `${side}: gaps`);
      // Denials are never sampled: each is there by its path.
      const paths = new Set(own.map(({ path }) => path));
      const denied = answered.filter(
        ({ status, reason }) => status === 403 && reason === 'policy_denied',
      );
      const lost = denied.filter(({ path, at }) => !paths.has(path) && !isUnknown(at, kills, side));
      assert.deepEqual(lost, [], `${side}: denials without a record`);
      assert.ok(denied.length > 10, `${denied.length} denials`);
      t.diagnostic(
        `${side}: ${answered.length} answered, ${issued} issued = ${arrived} stored + ${sampled} sampled + ${dropped} dropped; ` +
          `${unknown} within ${UNKNOWN_MS} ms of a kill, ${crashes.length} crashes named of ${killed}`,
      );
    }
    const ids = stored.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'none is stored twice');
    assert.deepEqual(
      [...receiver.ids()].sort(),
      [...ids].sort(),
      'the receiver has what is stored',
    );
    assert.deepEqual(receiver.disordered(), [], 'in order for each source');
    t.diagnostic(
      `${kills.length} kills; the receiver got ${receiver.items()} items, ${receiver.ids().size} of them new`,
    );
  } finally {
    for (const service of services) await service.run.stop();
    await up.stop();
    await meshIn(dataDir, up).close();
    receiver.close();
  }
});

/** Whether the application's sidecar judged it: it answered, or said no. */
function reachedOrders(status: number): boolean {
  return status === 200 || status === 403;
}

function isUnknown(at: number, kills: readonly Kill[], side: string): boolean {
  return kills.some(
    (kill) => kill.what === side && at > kill.at - UNKNOWN_MS && at < kill.at + UNKNOWN_MS,
  );
}

type SourceHour = {
  readonly service: string;
  readonly issued: number;
  readonly arrived: number;
  readonly sampled: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly missing: number;
  readonly gaps: readonly { readonly why: string }[];
};

async function completeness({ api }: Session): Promise<readonly SourceHour[]> {
  return (await api.call<{ sources: SourceHour[] }>('GET', '/completeness?from=2h')).sources;
}

type Stored = {
  readonly id: string;
  readonly reporter: string;
  readonly path: string;
  readonly weight?: number;
};

/** All records, once nothing more comes and the receiver has as many. */
async function settled(
  session: Session,
  receiver: { readonly ids: () => ReadonlySet<string> },
): Promise<readonly Stored[]> {
  let stored: readonly Stored[] = [];
  let before = -1;
  const isDone = async (): Promise<boolean> => {
    if ((await unshipped(session.folder.root)) > 0) return false;
    const issued = (await completeness(session)).reduce((sum, hour) => sum + hour.issued, 0);
    stored = await allRecords(session);
    const isQuiet = issued === before && receiver.ids().size >= stored.length;
    before = issued;
    return isQuiet;
  };
  try {
    await until('all is delivered', () => isDone().catch(() => false), {
      withinMs: 90_000,
      everyMs: 2_000,
    });
  } catch {
    // The assertions tell what is missing where.
  }
  return stored;
}

/** Records that the sidecars still hold, by their own metrics. */
async function unshipped(dataDir: string): Promise<number> {
  let total = 0;
  for (const service of ['web', 'orders']) {
    const text = await (
      await fetch(`${sidecarOf({ dataDir }, service).metricsUrl}/metrics`)
    ).text();
    total += Number(/^palisade_telemetry_unacked(?:\{.*\})? (\d+)$/m.exec(text)?.[1] ?? 1);
  }
  return total;
}

async function allRecords({ api }: Session): Promise<readonly Stored[]> {
  const all: Stored[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { items: Stored[]; next: string | null } = await api.call(
      'GET',
      `/records?since=2h&limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`,
    );
    all.push(...page.items);
    cursor = page.next;
  }
  return all;
}

/** Four callers, some 200 calls a second; one in ten is denied. */
function startLoad(proxyPort: number) {
  const answered: Call[] = [];
  let isOver = false;
  let number = 0;
  const agent = new Agent({ keepAlive: true });
  const call = (method: string, path: string): Promise<void> =>
    new Promise((resolve) => {
      const options = { port: proxyPort, method, path: `http://orders${path}`, agent };
      const outgoing = request({ ...options, headers: { host: 'orders' }, timeout: 10_000 });
      outgoing.on('timeout', () => outgoing.destroy());
      // A call that broke with its sidecar has no answer, and may have no record.
      outgoing.on('error', () => resolve());
      outgoing.on('response', (response: IncomingMessage) => {
        response.resume();
        response.on('error', () => resolve());
        response.on('end', () => {
          const reason = String(response.headers['x-palisade-reason'] ?? '');
          answered.push({ path, status: response.statusCode ?? 0, reason, at: Date.now() });
          resolve();
        });
      });
      outgoing.end();
    });
  const callers = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const n = ++number;
      await (n % 10 === 0 ? call('DELETE', `/denied/${n}`) : call('GET', `/items/${n}`));
      await delay(15);
    }
  });
  return {
    /** How many calls were served in the last second. */
    async served(): Promise<number> {
      const from = answered.length;
      await delay(1_000);
      return answered.slice(from).filter(({ status }) => status === 200).length;
    },
    async stop(): Promise<readonly Call[]> {
      isOver = true;
      await Promise.all(callers);
      agent.destroy();
      return answered;
    },
  };
}

/** Somebody who collects records: keeps ids, and now and then fails or hangs. */
async function startReceiver() {
  let mode: 'works' | 'fails' | 'hangs' = 'works';
  let items = 0;
  const ids = new Set<string>();
  const newest = new Map<string, number>();
  const disordered: string[] = [];
  const server: Server = createServer(async (incoming, answer) => {
    const now = mode;
    if (now === 'hangs') return;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      // The control plane was killed in the middle of it.
      return;
    }
    if (now === 'fails') return void answer.writeHead(500).end('not now');
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
      items: { id: string; node: string; seq: number }[];
    };
    for (const { id, node, seq } of body.items) {
      items++;
      if (ids.has(id)) continue;
      ids.add(id);
      if (seq <= (newest.get(node) ?? 0)) disordered.push(id);
      newest.set(node, seq);
    }
    answer.writeHead(204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    ids: (): ReadonlySet<string> => ids,
    items: (): number => items,
    disordered: (): readonly string[] => disordered,
    mode(next: typeof mode): void {
      mode = next;
    },
    close(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}
