import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import { type AccessRecord, packLines } from '#telemetry';
import { RECORDED_CALL } from '#testing';
import {
  createMessage,
  EdgeCountSchema,
  ReportRequestSchema,
  type ReportResponse,
  Telemetry,
} from '#wire';
import { allowResource, type Fixture, serviceResource, startFixture } from './control-fixture.ts';
import { subscribe } from './subscriber-fixture.ts';

let mesh: Fixture;
before(async () => {
  mesh = await startFixture();
  const applied = await mesh.apply('default', {
    'Service/orders': serviceResource('default', 'orders'),
    'AuthorizationPolicy/orders-callers': allowResource('default', 'orders', 'web'),
  });
  assert.equal(applied.status, 201, applied.text);
});
after(() => mesh.close());

let nextSeq = 0;

/** A call of `web` to `orders` as its sidecar would record it. */
function recordOf(over: Partial<AccessRecord>): AccessRecord {
  nextSeq++;
  return { time: new Date().toISOString(), ...RECORDED_CALL, seq: nextSeq, ...over };
}

const DENIED = {
  verdict: 'deny',
  status: 403,
  reason: 'policy_denied',
  policy: null,
  rule: null,
} as const;

function blockOf(records: readonly (AccessRecord | string)[]): Uint8Array {
  const lines = records.map(
    (record) => `${typeof record === 'string' ? record : JSON.stringify(record)}\n`,
  );
  return packLines(Buffer.from(lines.join('')));
}

/** Reports records of a node as its agent and waits until they are acknowledged. */
async function report(
  records: readonly (AccessRecord | string)[],
  node = 'default/orders/1',
): Promise<number> {
  const stream = mesh.grpc(Telemetry).bidi(Telemetry.method.report);
  const lastSeq = BigInt(nextSeq);
  stream.write(createMessage(ReportRequestSchema, { node, blocks: [blockOf(records)], lastSeq }));
  const [response] = (await once(stream, 'data')) as [ReportResponse];
  stream.end();
  return Number(response.ackedSeq);
}

test('records are stored before they are acknowledged, once however often they come', async () => {
  const twice = [recordOf({ path: '/once' }), recordOf({ path: '/again' })];
  assert.equal(await report(twice), nextSeq);
  assert.equal(await report(twice), nextSeq);
  const { json } = await mesh.call('GET', '/api/v1/records?order=asc');
  assert.deepEqual(
    json.items.map((record: AccessRecord) => record.path),
    ['/once', '/again'],
  );
  assert.equal(json.items[0].node, 'default/orders/1');
});

test('what a policy in dry-run would have changed is answered by policy and caller', async () => {
  const dry_run = [{ policy: 'default/stricter', verdict: 'deny' }] as const;
  await report([recordOf({ dry_run, path: '/tried' }), recordOf({ dry_run, path: '/tried' })]);
  const { json } = await mesh.call('GET', '/api/v1/dry-run?since=1h');
  const [{ first: _first, last: _last, ...tally }, ...more] = json.items;
  assert.deepEqual(more, []);
  assert.deepEqual(tally, {
    policy: 'default/stricter',
    source: 'default/web',
    sourceId: 'spiffe://cluster.local/ns/default/sa/web',
    destination: 'default/orders',
    verdict: 'allow',
    would: 'deny',
    count: 2,
    sample: { method: 'GET', path: '/tried', traceId: null },
  });
});

test('ports that take plaintext are answered with who sends it', async () => {
  const { status, json } = await mesh.call('GET', '/api/v1/plaintext?since=1h');
  assert.equal(status, 200);
  // Every service of this mesh asks for mutual TLS.
  assert.deepEqual(json.ports, []);
});

test('what is no record is refused, counted, and does not hold up the others', async () => {
  const bad = [
    '{',
    '[]',
    JSON.stringify({ ...recordOf({}), verdict: 'maybe' }),
    'x'.repeat(70_000),
  ];
  assert.equal(await report([...bad, recordOf({ path: '/good' })]), nextSeq);
  const { json } = await mesh.call('GET', '/api/v1/records?limit=1');
  assert.equal(json.items[0].path, '/good');
  assert.match(
    (await mesh.call('GET', '/metrics')).text,
    /palisade_control_records_total\{outcome="refused"\} 4/,
  );
});

test('records are filtered, and paged by a cursor without gaps or repeats', async () => {
  const from = {
    'source.service': 'batch',
    'source.id': 'spiffe://cluster.local/ns/jobs/sa/batch',
  };
  await report(Array.from({ length: 25 }, (_, i) => recordOf({ ...from, path: `/page/${i}` })));
  await report([recordOf({ ...DENIED, ...from, denial_id: 'page-denial' })]);
  const counts = [
    ['from=batch', 26],
    ['from=jobs/batch', 26],
    ['from=default/batch', 0],
    ['from=spiffe://cluster.local/ns/jobs/sa/batch&denied=true', 1],
    ['from=batch&denied=false', 25],
    ['from=batch&to=orders&namespace=default&since=5m', 26],
    ['from=batch&to=default/payments', 0],
    ['from=batch&until=5m', 0],
    ['id=page-denial', 1],
  ] as const;
  for (const [query, count] of counts) {
    const { json } = await mesh.call('GET', `/api/v1/records?limit=1000&${query}`);
    assert.equal(json.items.length, count, query);
  }
  for (const order of ['asc', 'desc']) {
    const seen: string[] = [];
    let cursor = '';
    do {
      const { json } = await mesh.call(
        'GET',
        `/api/v1/records?from=batch&limit=10&order=${order}${cursor}`,
      );
      seen.push(...json.items.map((record: { 'record.id': string }) => record['record.id']));
      cursor = json.next === null ? '' : `&cursor=${json.next}`;
    } while (cursor !== '');
    assert.deepEqual([seen.length, new Set(seen).size], [26, 26]);
  }
});

test('a denial is explained by the policy of then and of now, with the change that would allow it', async () => {
  const denied = recordOf({ ...DENIED, method: 'DELETE', path: '/7', denial_id: 'denial-1' });
  await report([denied]);
  const { json, status, text } = await mesh.call('GET', '/api/v1/denials/denial-1');
  assert.equal(status, 200, text);
  assert.deepEqual(
    [json.evaluatedAt, json.exact, json.changedSince],
    [{ default: 1 }, true, false],
  );
  assert.deepEqual(
    [json.explanation.decision.verdict, json.explanation.decision.reason],
    ['deny', 'no_policy_allows'],
  );
  assert.ok(json.explanation.smallestChange.yaml);
  const { json: groups } = await mesh.call('GET', '/api/v1/denials');
  const group = groups.items.find(
    (found: { sample: { denialId: string } }) => found.sample.denialId === 'denial-1',
  );
  assert.equal(
    group.sentence,
    'default/web may not DELETE /7 of default/orders: policies apply to default/orders, and no rule of theirs allows it',
  );
  assert.ok(group.smallestChange.sentence);
  const passed = recordOf({ path: '/allowed-then', policy_version: 'default@1' });
  await report([passed]);

  const { json: set } = await mesh.call('GET', '/api/v1/policy-sets/default');
  const wider = allowResource('default', 'orders', 'web') as {
    spec: { rules: { to?: unknown }[] };
  };
  for (const rule of wider.spec.rules) delete rule.to;
  const resources = { ...set.resources, 'AuthorizationPolicy/orders-callers': wider };
  const parent = { number: 1, hash: set.hash, commit: {} as never, envelope: set.head };
  const { envelope } = mesh.commit({ namespace: 'default', resources, parent });
  const put = await mesh.call('POST', '/api/v1/policy-sets/default/commits', {
    body: { envelope, changes: [{ key: 'AuthorizationPolicy/orders-callers', resource: wider }] },
    headers: { 'if-match': `"${set.hash}"` },
  });
  assert.equal(put.status, 201, put.text);
  const { json: later } = await mesh.call('GET', '/api/v1/denials/denial-1');
  assert.deepEqual(
    [later.changedSince, later.explanation.decision.verdict, later.now.decision.verdict],
    [true, 'deny', 'allow'],
  );
  const { json: kept } = await mesh.call('GET', '/api/v1/records?path=/allowed-then');
  const explain = (id: string) => mesh.call('GET', `/api/v1/records/${id}/explanation`);
  const { json: why, text: said } = await explain(kept.items[0]['record.id']);
  assert.deepEqual(
    [why.evaluatedAt, why.exact, why.changedSince],
    [{ default: 1 }, true, true],
    said,
  );
  // The rule of then asked for a method; that of now does not.
  const conditionsOf = (found: { considered: { rules: { conditions: unknown[] }[] }[] }) =>
    found.considered[0]?.rules[0]?.conditions.length;
  assert.deepEqual([conditionsOf(why.explanation), conditionsOf(why.now)], [2, 1], said);
  assert.deepEqual([(await explain('999999')).status, (await explain('x')).status], [404, 400]);
  const byId = (id: string) => mesh.call('GET', `/api/v1/records/${id}`);
  assert.deepEqual((await byId(kept.items[0]['record.id'])).json, kept.items[0]);
  assert.deepEqual([(await byId('999999')).status, (await byId('x')).status], [404, 400]);
});

test('the map shows each edge as the server counted it', async () => {
  const stream = mesh.grpc(Telemetry).bidi(Telemetry.method.report);
  const edge = {
    sourceId: 'spiffe://cluster.local/ns/default/sa/web',
    sourceService: 'web',
    destinationService: 'orders',
    destinationNamespace: 'default',
    mtls: true,
    protocol: 'http',
  };
  const server = {
    ...edge,
    requests: 20n,
    denied: 5n,
    errors: 1n,
    durationUsSum: 40_000n,
    reporter: 'destination',
  };
  const client = { ...edge, requests: 21n, errors: 2n, reporter: 'source' };
  const edges = [server, client].map((count) => createMessage(EdgeCountSchema, count));
  stream.write(
    createMessage(ReportRequestSchema, { node: 'default/orders/1', edges, lastSeq: 1n }),
  );
  await once(stream, 'data');
  stream.end();
  const { json } = await mesh.call('GET', '/api/v1/map');
  const shown = json.edges.find(
    (found: { id: string }) => found.id === 'default/web>default/orders',
  );
  assert.deepEqual(
    [shown.requests, shown.denied, shown.errors, shown.meanMs, shown.mtls, shown.rate],
    [20, 5, 2, 2, true, 2],
  );
  assert.equal(shown.lastDenial, 'denial-1');
  assert.deepEqual(
    json.nodes
      .map((node: { id: string; kind: string }) => [node.id, node.kind])
      .filter(([id]: string[]) => id?.startsWith('default/')),
    [
      ['default/orders', 'service'],
      ['default/web', 'service'],
    ],
  );
});

test('watches tell what happens, and a reconnect misses nothing', async () => {
  const watch = await openStream('/api/v1/records/watch?denied=true');
  const events = await openStream('/api/v1/events');
  assert.equal((await events.next()).event, 'hello');
  await report([
    recordOf({ path: '/allowed' }),
    recordOf({ ...DENIED, path: '/first', denial_id: 'watch-1' }),
  ]);
  const first = await watch.next();
  assert.deepEqual([first.event, first.data.path], ['record', '/first']);
  assert.ok((await events.until('denials')).data.count >= 1);
  watch.close();
  await report([recordOf({ ...DENIED, path: '/missed', denial_id: 'watch-2' })]);
  const again = await openStream('/api/v1/records/watch?denied=true', {
    'last-event-id': first.id,
  });
  assert.equal((await again.next()).data.path, '/missed');
  await mesh.apply('hint', { 'Service/a': serviceResource('hint', 'a') });
  assert.deepEqual((await events.until('policy')).data.namespace, 'hint');
  again.close();
  events.close();
  let open = '';
  for (let i = 0; i < 50 && open !== '0'; i++) {
    const { text } = await mesh.call('GET', '/metrics');
    open = /^palisade_control_event_streams (\d+)$/m.exec(text)?.[1] ?? '';
  }
  assert.equal(open, '0');
});

test('attack: the agent of another host reports for a node', async () => {
  const victim = subscribe(mesh, { node: 'default/orders/9', namespaces: ['default'] });
  await victim.next('policySet');
  const evil = 'spiffe://cluster.local/palisade/agent/evil';
  const stream = mesh.grpc(Telemetry, evil).bidi(Telemetry.method.report);
  const blocks = [blockOf([recordOf({ path: '/forged' })])];
  const forged = { node: 'default/orders/9', blocks, lastSeq: BigInt(nextSeq) };
  stream.write(createMessage(ReportRequestSchema, forged));
  const [error] = await once(stream, 'error');
  assert.equal(error.code, 7);
  await report([recordOf({ path: '/genuine' })], 'default/orders/9');
  const { json } = await mesh.call('GET', '/api/v1/records?limit=1');
  assert.equal(json.items[0].path, '/genuine');
  victim.end();
});

test('a stranger reports nothing', async () => {
  const ca = mesh
    .grpc(Telemetry, 'spiffe://cluster.local/palisade/ca')
    .bidi(Telemetry.method.report);
  const [error] = await once(ca, 'error');
  assert.equal(error.code, 7);
});

// oxlint-disable-next-line typescript/no-explicit-any -- tests read members of whatever came
type Event = { readonly event: string; readonly id: string; readonly data: any };

async function openStream(path: string, headers: Record<string, string> = {}) {
  const { admin } = mesh;
  const request = httpsRequest({
    host: '127.0.0.1',
    port: mesh.control().apiPort,
    path,
    headers,
    rejectUnauthorized: false,
    key: admin.privateKeyPem,
    cert: admin.certificatePem,
    agent: false,
  });
  request.on('error', () => {
    // Closing a stream that is still open is the end the tests want.
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  const blocks = readBlocks(response);
  const next = async (): Promise<Event> => {
    const { value } = await blocks.next();
    assert.ok(value !== undefined, 'the stream ended');
    const fields = Object.fromEntries(
      value.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)),
    );
    return {
      event: fields['event'] ?? '',
      id: fields['id'] ?? '',
      data: JSON.parse(fields['data'] ?? 'null'),
    };
  };
  return {
    next,
    async until(event: string): Promise<Event> {
      for (;;) {
        const found = await next();
        if (found.event === event) return found;
      }
    },
    close: () => request.destroy(),
  };
}

async function* readBlocks(response: IncomingMessage): AsyncGenerator<string, undefined> {
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    yield* blocks;
  }
  return undefined;
}

test('a trace is shown across services, with the side that is missing', async () => {
  const trace_id = 'c0ffee'.padEnd(32, '0');
  const [outer, inner] = ['a'.repeat(16), 'b'.repeat(16)];
  const caller = recordOf({ reporter: 'source', trace_id, span_id: outer, upstream_us: 700 });
  await report([caller], 'default/web/1');
  const half = await mesh.call('GET', `/api/v1/traces/${trace_id}`);
  assert.match(half.json.missing[0].why, /server’s side/);
  await report([recordOf({ trace_id, span_id: inner, parent_span_id: outer, decision_us: 40 })]);
  const { json } = await mesh.call('GET', `/api/v1/traces/${trace_id}`);
  const kinds = json.spans.map((span: { kind: string }) => span.kind).toSorted();
  assert.deepEqual(kinds, ['decision', 'inbound', 'outbound', 'upstream']);
  const inbound = json.spans.find((span: { kind: string }) => span.kind === 'inbound');
  assert.deepEqual([inbound.parent_span_id, inbound.service], [outer, 'orders']);
  assert.equal(json.records.length, 2);
  assert.ok(!JSON.stringify(json.missing).includes('server’s side'));
  assert.equal((await mesh.call('GET', '/api/v1/traces/xyz')).status, 400);
  assert.equal((await mesh.call('GET', `/api/v1/traces/${'0'.repeat(32)}`)).status, 404);
});

test('any field filters, and a filter that is none is refused', async () => {
  await report([recordOf({ path: '/odd/one', status: 418, trace_id: null })]);
  const paths = async (query: string): Promise<readonly string[]> => {
    const { json } = await mesh.call('GET', `/api/v1/records?${query}`);
    return json.items.map((record: AccessRecord) => record.path);
  };
  assert.deepEqual(await paths('status=418'), ['/odd/one']);
  assert.deepEqual(await paths('path=/odd/*&status=>400'), ['/odd/one']);
  assert.deepEqual(await paths('q=ODD/ONE'), ['/odd/one']);
  assert.deepEqual(await paths('status=418&path=/other'), []);
  assert.equal((await mesh.call('GET', '/api/v1/records?Bad%20Name=1')).status, 400);
  assert.equal((await mesh.call('GET', '/api/v1/records?status=>x')).status, 400);
});

test('sums over time and completeness are answered, and asked for within bounds', async () => {
  await report([recordOf({ weight: 1_000 })]);
  const sums = await mesh.call('GET', '/api/v1/rollups?group=edge&metric=requests,p95_us&from=10m');
  const edge = sums.json.series.find(
    ({ key }: { key: { source: string } }) => key.source === 'default/web',
  );
  assert.equal(edge.key.destination, 'default/orders');
  const requests = edge.points.reduce((sum: number, point: number[]) => sum + (point[1] ?? 0), 0);
  assert.ok(requests >= 1_000, String(requests));
  const { json } = await mesh.call('GET', '/api/v1/completeness?from=2h');
  assert.ok(json.sources.some(({ service }: { service: string }) => service === 'default/orders'));
  assert.ok(json.ratio > 0 && json.ratio <= 1);
  for (const query of [
    'step=1ms',
    'step=1s&from=7d',
    'group=edge&from=1d',
    'metric=nonsense',
    'from=never',
  ]) {
    assert.equal((await mesh.call('GET', `/api/v1/rollups?${query}`)).status, 400, query);
  }
});

test('attack: a sidecar reports a call of another service', async () => {
  const before = (await mesh.call('GET', '/api/v1/records?limit=1000')).json.items.length;
  await report([recordOf({ 'destination.service': 'billing' })]);
  await report([recordOf({})], 'shop/orders/1');
  const after = (await mesh.call('GET', '/api/v1/records?limit=1000')).json.items.length;
  assert.equal(after, before);
});
