import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packLines } from '#telemetry';
import { createMessage, ReportRequestSchema, Telemetry } from '#wire';
import { type Fixture, startFixture } from './control-fixture.ts';

const SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const KEY = Buffer.from(SECRET.slice(6), 'base64');

type Delivery = { readonly headers: IncomingHttpHeaders; readonly body: string };

let mesh: Fixture;
let receiver: Server;
let isUp = true;
const deliveries: Delivery[] = [];

before(async () => {
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (isUp) {
        const body = Buffer.concat(chunks).toString('utf8');
        deliveries.push({ headers: request.headers, body });
      }
      response.writeHead(isUp ? 204 : 503).end();
    });
  });
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  mesh = await startFixture();
  const secrets = join(mesh.folder, 'control', 'sinks', 'secrets');
  mkdirSync(secrets, { recursive: true });
  writeFileSync(join(secrets, 'soar'), `${SECRET}\n`);
  const { port } = receiver.address() as AddressInfo;
  const applied = await mesh.apply('palisade-system', {
    'Sink/soar': sink('soar', {
      evidence: { records: { verdicts: ['deny'] }, alerts: {} },
      webhook: {
        endpoint: `http://127.0.0.1:${port}/in`,
        compression: 'none',
        signing: { secret: { file: 'soar' } },
      },
    }),
    'Sink/lines': sink('lines', {
      evidence: { records: {}, metrics: { interval: '1s' } },
      file: { name: 'evidence.jsonl', maxBytes: 1_000_000, maxFiles: 2 },
    }),
    'Sink/inward': sink('inward', {
      evidence: { records: {} },
      webhook: {
        endpoint: `http://127.0.0.1:${mesh.control().apiPort}/api/v1/policy-sets`,
        compression: 'none',
        signing: { secret: { file: 'soar' } },
      },
    }),
  });
  assert.equal(applied.status, 201, applied.text);
});
after(async () => {
  await mesh.close();
  receiver.close();
});

function sink(name: string, spec: Record<string, unknown>): unknown {
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Sink',
    metadata: { name, namespace: 'palisade-system' },
    spec: {
      format: 'json',
      limits: { maxQueueBytes: 1 << 20, maxAge: '1h', maxBatch: 100, timeout: '2s' },
      paused: false,
      ...spec,
    },
  };
}

let seq = 0;
// Fields that a record has and that do not matter here.
const ABSENT = (
  'source.id source.service source.ip destination.id connection.sni tls.version tls.cipher tls.group peer_serial ' +
  'method host policy rule policy_version denial_id trace_id span_id status reason'
).split(' ');

/** Reports records as a sidecar's agent would, and waits until they are stored. */
async function report(...calls: readonly { readonly path: string; readonly verdict: string }[]) {
  const records = calls.map((call) => {
    const empty = Object.fromEntries(ABSENT.map((key) => [key, null]));
    const counts = {
      duration_us: 1,
      bytes_in: 0,
      bytes_out: 0,
      'destination.port': 80,
      seq: ++seq,
    };
    const place = { 'destination.service': 'orders', 'destination.namespace': 'default' };
    const time = new Date().toISOString();
    return { ...empty, time, kind: 'http', reporter: 'destination', ...counts, ...place, ...call };
  });
  const stream = mesh.grpc(Telemetry).bidi(Telemetry.method.report);
  stream.write(
    createMessage(ReportRequestSchema, {
      node: 'default/orders/1',
      blocks: [
        packLines(Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(''))),
      ],
      lastSeq: BigInt(seq),
    }),
  );
  await once(stream, 'data');
  stream.end();
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`not within 5 s: ${what}`);
}

const received = () => deliveries.flatMap(({ body }) => JSON.parse(body).items);
const paths = () => received().map((item: { path: string }) => item.path);
const states = async () => (await mesh.call('GET', '/api/v1/sinks')).json.items;

test('a denial reaches the webhook, signed over id, time and body; what it did not ask for does not', async () => {
  await report({ path: '/fine', verdict: 'allow' }, { path: '/secret', verdict: 'deny' });
  await until('the delivery', () => deliveries.length > 0);
  const [{ headers, body } = { headers: {}, body: '' }] = deliveries;
  assert.deepEqual(paths(), ['/secret']);
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const mac = createHmac('sha256', KEY).update(signed).digest('base64');
  assert.equal(headers['webhook-signature'], `v1,${mac}`);
  assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 30);
});

test('files get every record and the metrics, one JSON object a line, readable by nobody else', async () => {
  const path = join(mesh.folder, 'control', 'sinks', 'files', 'evidence.jsonl');
  const lines = () =>
    // The file comes with its first line; behind the last line feed is what is just being written.
    (existsSync(path) ? readFileSync(path, 'utf8') : '')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  await until('records and metrics', () => {
    const found = lines();
    return (
      found.some(({ path: p }) => p === '/fine') &&
      found.some(({ evidence }) => evidence === 'metrics')
    );
  });
  const metrics = lines().find(({ evidence }) => evidence === 'metrics');
  assert.ok(
    metrics.families.some(
      ({ name }: { name: string }) => name === 'palisade_control_records_total',
    ),
  );
});

test('SSRF: a sink that leads to a port of the control plane sends nothing and says why', async () => {
  await until('its state', async () =>
    (await states()).some(
      ({ name, state, last_error }: { name: string; state: string; last_error: string }) =>
        name === 'inward' && state === 'retrying' && /is the mesh's own/.test(last_error),
    ),
  );
});

test('while a receiver is down evidence waits, over a restart too, and arrives in order', async () => {
  isUp = false;
  await report({ path: '/while-down-1', verdict: 'deny' });
  await until('the failure', async () =>
    (await states()).some(
      ({ name, state, lag_records }: { name: string; state: string; lag_records: number }) =>
        name === 'soar' && state === 'retrying' && lag_records === 1,
    ),
  );
  await mesh.restart();
  await report({ path: '/while-down-2', verdict: 'deny' });
  isUp = true;
  await until('both', () => paths().includes('/while-down-2'));
  assert.deepEqual(paths(), ['/secret', '/while-down-1', '/while-down-2']);
});

test('a test sends one of each kind and tells the answer; not twice within ten seconds', async () => {
  const first = await mesh.call('POST', '/api/v1/sinks/soar/test');
  assert.equal(first.status, 200, first.text);
  assert.deepEqual(
    first.json.items.map(({ evidence, delivered, answer }: Record<string, unknown>) => [
      evidence,
      delivered,
      answer,
    ]),
    [
      ['records', true, 'taken'],
      ['alerts', true, 'taken'],
    ],
  );
  assert.ok(received().some(({ name }: { name: string }) => name === 'sink-test'));
  assert.equal((await mesh.call('POST', '/api/v1/sinks/soar/test')).status, 503);
  assert.equal((await mesh.call('POST', '/api/v1/sinks/none/test')).status, 404);
});

test('metrics tell what was delivered and what waits', async () => {
  const { text } = await mesh.call('GET', '/metrics');
  assert.match(text, /palisade_sink_delivered_total\{sink="soar",evidence="records"\} \d/);
  assert.match(text, /palisade_sink_queued\{sink="inward",evidence="records"\} [1-9]/);
  assert.match(text, /palisade_sink_state\{sink="soar",state="ok"\} 1/);
});

test('no secret is in any answer', async () => {
  for (const path of ['/api/v1/sinks', '/metrics', '/api/v1/resources?kind=Sink']) {
    const { text } = await mesh.call('GET', path);
    assert.ok(!text.includes(SECRET.slice(6)), path);
  }
});
