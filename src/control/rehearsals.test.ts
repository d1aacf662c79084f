// Alerts caused for real, at a control plane with its ports open: by what enforcement points say of themselves, by what
// sidecars report, by an authority and by files that somebody changed. The name of each alert is that of its runbook.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import type { AlertName } from '#alert';
import { createMessage, ReportRequestSchema, Telemetry } from '#wire';
import { type Fixture, serviceResource, startFixture } from './control-fixture.ts';
import { subscribe, type TestSubscriber } from './subscriber-fixture.ts';

const MINUTE = 60_000;
// Bad ones of fewer minutes are no rate (`MIN_BAD_MINUTES` of burn.ts).
const BAD_MINUTES = 3;
const HOUR = 60 * MINUTE;
const PATIENCE_MS = 12_000;
const NODE = 'default/orders/1';

type Ack = Parameters<TestSubscriber['ack']>[0];

let mesh: Fixture;
let receiver: Server;
/** How far the control plane's clock is ahead of this machine's. */
let aheadMs = 0;
const points: TestSubscriber[] = [];
let nudger: TestSubscriber;
let nudges = 0;
before(async () => {
  const clock = () => Date.now() + aheadMs;
  // An authority whose certificates last four minutes.
  mesh = await startFixture({ certificateTtlMs: 4 * MINUTE, clock });
  receiver = createServer((_, response) => response.writeHead(500).end());
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  for (const namespace of ['default', 'edited', 'over']) {
    const resources = { 'Service/orders': serviceResource(namespace, 'orders') };
    const ttlMs = namespace === 'over' ? 1_000 : HOUR;
    const applied = await mesh.apply(namespace, resources, ttlMs);
    assert.equal(applied.status, 201, applied.text);
  }
  const root = await mesh.apply('palisade-system', {
    // A millisecond is too little for anybody: every answer is late.
    'SLO/control-latency': slo('control_latency'),
    'Sink/siem': sink(),
  });
  assert.equal(root.status, 201, root.text);
  await reportGap(NODE);
  damageFiles();
  await mesh.restart();
  await mesh.control().close();
  outage();
  await mesh.restart();
  nudger = subscribe(mesh, { node: 'default/nudger/1', namespaces: ['default'] });
  points.push(nudger);
});
after(async () => {
  for (const point of points) point.end();
  await mesh.close();
  receiver.close();
});

test('what an enforcement point says of itself', async () => {
  const certificateExpiresAtMs = BigInt(Date.now() + MINUTE);
  const said: Readonly<Partial<Record<AlertName, Ack>>> = {
    'enforcement-point-not-ready': { ready: false, readyReason: 'no identity' },
    'revocation-behind': { ready: true, revocations: 1n, revocationsDigest: 'another' },
    'sidecar-bypassed': { ready: true, exposed: ['0.0.0.0:8080'] },
    'certificate-expiring': { ready: true, certificateExpiresAtMs },
    'endpoint-unhealthy': {
      ready: true,
      troubled: [
        { namespace: 'default', service: 'orders', address: '10.0.0.1:80', health: 'ejected' },
      ],
    },
    'policy-refused': {
      ready: true,
      refused: [
        { namespace: 'default', number: 2n, hash: 'x', code: 'root_mismatch', message: '' },
      ],
    },
  };
  for (const [name, ack] of Object.entries(said)) (await connect(name)).ack(ack);
  const day = 24 * HOUR;
  const foreignBundles = [
    {
      trustDomain: 'west.example',
      startsAtMs: BigInt(Date.now() - 300 * day),
      expiresAtMs: BigInt(Date.now() + 20 * day),
    },
  ];
  const agent = subscribe(mesh, { node: 'agent/host', kind: 'agent', namespaces: ['default'] });
  points.push(agent);
  agent.ack({ ready: true, foreignBundles });
  const lost = await connect('lost');
  lost.ack({ ready: true });
  lost.cancel();
  for (const name of Object.keys(said)) await about(name, { node: `default/${name}/1` });
  await about('enforcement-point-lost', { node: 'default/lost/1' });
  const foreign = await about('foreign-bundle-expiring');
  assert.match(
    foreign.summary,
    /the bundle of west\.example is to be renewed.*seen by agent\/host/,
  );
});

test('what sidecars report', async () => {
  // What became of it is looked at every ten seconds: see below.
  await reportGap('default/lossy/1');
  await inMinutes(async () => {
    await report({
      edges: [edge({ requests: 40n, denied: 40n, mtls: true }), edge({ sourceService: 'batch' })],
      security: ['handshake', 'authentication', 'decision_latency'].map((name) => ({
        name,
        good: 0n,
        total: 100n,
      })),
    });
  });
  const names: readonly AlertName[] = [
    'denial-burst',
    'denial-rate-budget-burn',
    'plaintext-allowed',
    'handshake-budget-burn',
    'authentication-budget-burn',
    'decision-latency-budget-burn',
  ];
  for (const name of names) await about(name);
  const gap = await about('telemetry-gap', { node: NODE });
  assert.match(gap.summary, new RegExp(`^10 records of ${NODE}`));
});

test('what expires, and what somebody changed', async () => {
  // The root of this authority ends tomorrow.
  const names: readonly AlertName[] = [
    'authority-expiring',
    'control-certificate-expiring',
    'policy-expiring',
    'policy-expired',
    'policy-set-broken',
    'control-availability-budget-burn',
  ];
  for (const name of names) await about(name);
  await mesh.call('POST', '/api/v1/audit/verify');
  await about('audit-broken');
});

test('objectives of those who ask and of those who wait for policy', async () => {
  await inMinutes(async () => {
    for (let i = 0; i < 30; i++) await mesh.call('GET', '/api/openapi.json');
  });
  await about('control-latency-budget-burn');
  // Certificates of a minute at six points, of which an hour was expected.
  const certificateExpiresAtMs = BigInt(Date.now() + MINUTE);
  for (let i = 0; i < 6; i++) {
    (await connect(`short${i}`)).ack({ ready: true, certificateExpiresAtMs });
  }
  await inMinutes(() => looked('certificate-horizon'));
  await about('certificate-horizon-budget-burn');
});

test('records that cannot be written, until they can', async () => {
  const release = holdRecords();
  await assert.rejects(report({ lastSeq: 40n }), /records cannot be stored now/);
  const alert = await about('records-not-stored', { state: 'firing' });
  assert.equal(alert.evidence[0]?.text, '1 write failed in five minutes');
  assert.equal(alert.command, 'palisade doctor');
  release();
  await report({ lastSeq: 40n });
});

test('an hour of which a third of the records is missing', async () => {
  const alert = await about('telemetry-completeness-budget-burn', { state: 'firing' });
  assert.match(
    alert.evidence[0]?.text ?? '',
    /^30 of 50 records neither arrived nor were left out by sampling in 1h \(\d+m of it measured\); the objective is 99%/,
  );
  assert.equal(alert.command, 'palisade status');
});

test('a version that points acknowledge after twenty seconds', async () => {
  const late = Array.from({ length: 6 }, (_, i) =>
    subscribe(mesh, { node: `late/orders/${i}`, namespaces: ['late0', 'late1', 'late2'] }),
  );
  points.push(...late);
  // What a point enforces already when it is first looked at has not been on its way.
  for (const i of late.keys()) {
    await about('enforcement-point-not-ready', { node: `late/orders/${i}` });
  }
  const enforced: { namespace: string; number: bigint; hash: string }[] = [];
  await inMinutes(async (minute) => {
    const namespace = `late${minute}`;
    const resources = { 'Service/orders': serviceResource(namespace, 'orders') };
    const applied = await mesh.apply(namespace, resources);
    assert.equal(applied.status, 201, applied.text);
    for (const point of late) await point.next('policySet');
    aheadMs += 20_000;
    const { number, hash } = applied.json;
    enforced.push({ namespace, number: BigInt(number), hash });
    for (const point of late) point.ack({ ready: true, enforced });
    await looked('policy-propagation');
  });
  const alert = await about('policy-propagation-budget-burn', { state: 'firing' });
  assert.match(
    alert.evidence[0]?.text ?? '',
    /^(\d+) of \1 enforcement points were late to enforce a new version in 1h .*; the objective is 99%/,
  );
  assert.equal(alert.command, 'palisade status');
});

test('a receiver that answers with an error for minutes', async () => {
  // Alerts were sent to it from the first one on, minutes ago.
  const alert = await about('sink-failing', { state: 'firing' });
  assert.match(alert.summary, /^the sink siem takes nothing: .*500/);
  const [, behindS] = /^(\d+) s behind$/.exec(alert.evidence[0]?.text ?? '') ?? [];
  assert.ok(Number(behindS) >= 180, behindS);
  assert.equal(alert.command, 'palisade sink test siem');
});

test('numbers that are missing for longer than a minute', async () => {
  const alert = await about('telemetry-gap', { node: NODE, state: 'firing' });
  assert.equal(alert.evidence[0]?.text, 'missing: seq 11 to 20');
  assert.equal(alert.command, 'palisade status');
});

test('an authority that says something else than before, and one that is away', async () => {
  mesh.authority.fork();
  await mesh.call('GET', '/api/v1/identities');
  await about('issuance-log-broken');
  // Not waited for: those who ask it hold on to their connections for a while.
  const closed = mesh.authority.close();
  await mesh.call('GET', '/api/v1/identities');
  await about('authority-unreachable');
  void closed;
});

/** Lets it happen in so many minutes as make a rate of it. */
async function inMinutes(cause: (minute: number) => Promise<void>): Promise<void> {
  for (let minute = 0; minute < BAD_MINUTES; minute++) {
    if (minute > 0) aheadMs += MINUTE;
    await cause(minute);
  }
}

/** As soon as something more counts for an objective. */
async function looked(name: string): Promise<void> {
  const total = async (): Promise<number> => {
    const { json } = await mesh.call('GET', '/api/v1/slos');
    return json.items.find((slo: { name: string }) => slo.name === name).total;
  };
  const before = await total();
  const deadline = Date.now() + PATIENCE_MS;
  while ((await total()) === before) {
    assert.ok(Date.now() < deadline, `nothing more counts for ${name}`);
    nudger.ack({ ready: true, certificateSerial: `${++nudges}` });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function connect(service: string): Promise<TestSubscriber> {
  const point = subscribe(mesh, { node: `default/${service}/1`, namespaces: ['default'] });
  points.push(point);
  await point.next('policySet');
  return point;
}

type Told = {
  readonly name: string;
  readonly state: string;
  readonly summary: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly evidence: readonly { readonly text: string }[];
  readonly command: string;
  readonly runbook: string;
};

/** The alert of this name, of a node and in a state if told, as soon as there is one. */
async function about(
  name: string,
  { node, state }: { readonly node?: string; readonly state?: string } = {},
): Promise<Told> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    // News of an enforcement point has everything looked at now, not within five seconds.
    nudger.ack({ ready: true, certificateSerial: `${++nudges}` });
    const { json } = await mesh.call('GET', '/api/v1/alerts?state=all');
    const found = json.items.find(
      (alert: Told) =>
        alert.name === name &&
        (node === undefined || alert.labels['node'] === node) &&
        (state === undefined || alert.state === state),
    );
    if (found !== undefined) {
      assert.equal(found.runbook, `docs/runbooks/${name}.md`);
      return found;
    }
    assert.ok(Date.now() < deadline, `${name} was caused and nobody is told`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

type Report = NonNullable<Parameters<typeof createMessage<typeof ReportRequestSchema>>[1]>;

async function report(message: Report): Promise<void> {
  const stream = mesh.grpc(Telemetry).bidi(Telemetry.method.report);
  stream.on('error', () => {
    // It ends with the control plane, which is started again.
  });
  stream.write(createMessage(ReportRequestSchema, { node: NODE, lastSeq: 30n, ...message }));
  await once(stream, 'data');
  stream.end();
}

/** Numbers 1 to 10 and 21 to 30, all sampled away; nobody says what became of those between. */
async function reportGap(node: string): Promise<void> {
  const now = BigInt(Date.now());
  const account = (firstSeq: bigint, lastSeq: bigint) => ({
    boot: 'b',
    firstSeq,
    lastSeq,
    sinceMs: now,
    untilMs: now,
    sampled: 10n,
  });
  await report({ node, boot: 'b', accounts: [account(1n, 10n), account(21n, 30n)] });
}

function edge(changes: Readonly<Record<string, unknown>>) {
  return {
    sourceService: 'web',
    destinationService: 'orders',
    destinationNamespace: 'default',
    requests: 5n,
    denied: 0n,
    mtls: false,
    protocol: 'http',
    reporter: 'destination',
    ...changes,
  };
}

/** Keeps every file of records from being written to, as a second process on the same folder would; returns how to stop. */
function holdRecords(): () => void {
  const folder = join(mesh.folder, 'control', 'records');
  const held = readdirSync(folder).flatMap((name) =>
    name.endsWith('.db') ? [new DatabaseSync(join(folder, name))] : [],
  );
  assert.ok(held.length > 0);
  for (const db of held) db.exec('BEGIN IMMEDIATE');
  return () => {
    for (const db of held) db.close();
  };
}

function damageFiles(): void {
  const folder = join(mesh.folder, 'control');
  const db = new DatabaseSync(join(folder, 'control.db'));
  db.exec("UPDATE changes SET resource = replace(resource, '80', '81') WHERE namespace = 'edited'");
  db.close();
  const segment = join(folder, 'audit', 'segment-000000000000.jsonl');
  writeFileSync(
    segment,
    readFileSync(segment, 'utf8').replace('"number":"1"', '"number":"9"').replace('ann', 'eve'),
  );
}

/** As if the process had been killed a quarter of an hour ago, after hours in which nothing happened. */
function outage(): void {
  const path = join(mesh.folder, 'control', 'alerts.json');
  const state = JSON.parse(readFileSync(path, 'utf8')) as { budgets: object };
  const killedAt = Date.now() - 15 * MINUTE;
  const minutes = Array.from({ length: 345 }, (_, i) => [
    Math.floor(killedAt / MINUTE) - 345 + i,
    0,
    0,
    1,
    0,
  ]);
  // Records are looked at every ten seconds, too seldom for a test: they were lost in two minutes before already.
  const lossy = minutes.map((slot, i) => (i < 340 || i > 341 ? slot : [slot[0], 0, 10, 1, 1]));
  const quiet = Object.keys(state.budgets).map((key) => [
    key,
    { minutes: key.includes('telemetry_completeness') ? lossy : minutes, hours: [] },
  ]);
  const budgets = Object.fromEntries(quiet);
  writeFileSync(path, JSON.stringify({ ...state, budgets, at: killedAt, stopped: false }));
}

function slo(sli: string): unknown {
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'SLO',
    metadata: { name: sli.replaceAll('_', '-'), namespace: 'palisade-system' },
    spec: { sli, objective: '99%', threshold: '1ms' },
  };
}

/** Writes the secret of a sink, and describes it. */
function sink(): unknown {
  const secrets = join(mesh.folder, 'control', 'sinks', 'secrets');
  mkdirSync(secrets, { recursive: true });
  writeFileSync(join(secrets, 'siem'), `whsec_${Buffer.alloc(32, 7).toString('base64')}\n`);
  const { port } = receiver.address() as AddressInfo;
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Sink',
    metadata: { name: 'siem', namespace: 'palisade-system' },
    spec: {
      format: 'json',
      evidence: { alerts: {} },
      limits: { maxQueueBytes: 1 << 20, maxAge: '1h', maxBatch: 100, timeout: '2s' },
      paused: false,
      webhook: {
        endpoint: `http://127.0.0.1:${port}/in`,
        compression: 'none',
        signing: { secret: { file: 'siem' } },
      },
    },
  };
}
