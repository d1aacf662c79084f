import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecordedCall, type RecordedCall } from '../records/access-record.ts';
import type { EdgeKey } from './edge.ts';
import { createProxyMetrics } from './proxy-metrics.ts';
import type { RecordGauges } from './record-metrics.ts';

const WORKLOAD = { service: 'orders', namespace: 'default', trustDomain: 'cluster.local' };
const HTTP: EdgeKey = {
  reporter: 'destination',
  sourceId: 'spiffe://cluster.local/ns/default/sa/web',
  sourceService: 'web',
  sourceNamespace: 'default',
  destinationId: 'spiffe://cluster.local/ns/default/sa/orders',
  destinationService: 'orders',
  destinationNamespace: 'default',
  protocol: 'http',
  mtls: true,
};
const NOW_MS = 1_000_000;

const RECORDS: RecordGauges = {
  issued: 20,
  kept: { audit: 0, denied: 3, error: 0, rollout: 0, first_seen: 0, slow: 0, sampled: 0, all: 7 },
  sampled: 10,
  rolloutExceeded: 2,
  dropped: { success: 1, error: 0, denial: 0, audit: 0 },
  damaged: 0,
  failedWrites: 0,
  lastSeq: 20,
  memoryBytes: 0,
  spoolBytes: 900,
  unacked: 4,
  shipped: 6,
};

function create(maxEdges?: number) {
  const clock = () => NOW_MS;
  return createProxyMetrics({ workload: WORKLOAD, clock, ...(maxEdges && { maxEdges }) });
}

function callWith(more: Partial<RecordedCall>): RecordedCall {
  return { ...createRecordedCall({ json: '' }), verdict: 'allow', status: 200, ...more };
}

test('gRPC has a label of its own, as Istio has it, and failures of its own', async () => {
  const metrics = create();
  const edge = metrics.edge({ ...HTTP, protocol: 'grpc' });
  for (const grpcStatus of [-1, 0, 0, 5, 14])
    metrics.countCall(edge, callWith({ grpcStatus, durationUs: 700 }));
  const denied = { verdict: 'deny', status: 403, reason: 'policy_denied' } as const;
  metrics.countCall(edge, callWith({ ...denied, grpcStatus: 7 }));
  const { body } = await metrics.exposition(false);
  const requests = (label: string) => sampleOf(body, 'istio_requests_total', [label]);
  assert.equal(requests('response_code="200",grpc_response_status=""'), 1);
  assert.equal(requests('response_code="200",grpc_response_status="0"'), 2);
  assert.equal(requests('grpc_response_status="5"'), 1);
  assert.equal(requests('grpc_response_status="14"'), 1);
  assert.equal(requests('response_code="403",grpc_response_status="7"'), 1);
  assert.equal(edge.errors, 1, 'what its caller did wrong is no failure of the service');
});

test('requests are counted with Istio names and labels, duration and sizes as histograms', async () => {
  const metrics = create();
  const edge = metrics.edge(HTTP);
  assert.equal(metrics.edge({ ...HTTP }), edge, 'resolved once');
  metrics.countCall(edge, callWith({ durationUs: 700, bytesIn: 3, bytesOut: 1_500 }));
  metrics.countCall(edge, callWith({ durationUs: 30_000 }));
  metrics.countCall(edge, callWith({ verdict: 'deny', status: 403, reason: 'policy_denied' }));
  const { body, contentType } = await metrics.exposition(false);
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  const line = (name: string, ...labels: string[]) => sampleOf(body, name, labels);
  const labels = [
    'reporter="destination"',
    'source_workload="web"',
    'source_principal="spiffe://cluster.local/ns/default/sa/web"',
    'destination_service="orders.default.svc.cluster.local"',
    'destination_service_name="orders"',
    'destination_service_namespace="default"',
    'request_protocol="http"',
    'connection_security_policy="mutual_tls"',
  ];
  assert.equal(line('istio_requests_total', 'response_code="200"', ...labels), 2);
  assert.equal(
    line('istio_requests_total', 'response_code="403"', 'palisade_reason="policy_denied"'),
    1,
  );
  const duration = 'istio_request_duration_milliseconds';
  assert.equal(line(`${duration}_bucket`, 'response_code="200"', 'le="0.5"'), 0);
  assert.equal(line(`${duration}_bucket`, 'response_code="200"', 'le="1"'), 1);
  assert.equal(line(`${duration}_bucket`, 'response_code="200"', 'le="50"'), 2);
  assert.equal(line(`${duration}_bucket`, 'response_code="200"', 'le="+Inf"'), 2);
  assert.equal(line(`${duration}_count`, 'response_code="200"'), 2);
  assert.equal(line(`${duration}_sum`, 'response_code="200"'), 30.7);
  assert.equal(line('istio_response_bytes_sum', 'response_code="200"'), 1500);
});

test('TCP connections have the TCP metrics and no request metrics', async () => {
  const metrics = create();
  const edge = metrics.edge({ ...HTTP, protocol: 'tcp', reporter: 'source' });
  edge.opened++;
  edge.closed++;
  metrics.countCall(edge, callWith({ status: 0, bytesIn: 5, bytesOut: 7 }));
  const { body } = await metrics.exposition(false);
  const tcp = ['request_protocol="tcp"', 'connection_security_policy="unknown"'];
  assert.equal(sampleOf(body, 'istio_tcp_connections_opened_total', tcp), 1);
  assert.equal(sampleOf(body, 'istio_tcp_connections_closed_total', tcp), 1);
  assert.equal(sampleOf(body, 'istio_tcp_sent_bytes_total', tcp), 7);
  assert.equal(sampleOf(body, 'istio_tcp_received_bytes_total', tcp), 5);
  assert.equal(sampleOf(body, 'istio_requests_total', []), undefined);
});

test('our own counters and gauges', async () => {
  const metrics = create();
  metrics.decision('deny', 'policy_denied').value += 2;
  metrics.handshake('expired', 'inbound').value++;
  metrics.refused('bad_request').value++;
  metrics.connections('inbound', 'http').value = 3;
  metrics.observeGauges(() => ({
    certificateExpiresAt: NOW_MS + 60_000,
    policyVersions: [{ namespace: 'default', number: 12 }],
    stalenessMs: 5_000,
    records: RECORDS,
  }));
  const { body } = await metrics.exposition(false);
  const value = (name: string, ...labels: string[]) => sampleOf(body, name, labels);
  assert.equal(value('palisade_decisions_total', 'verdict="deny"', 'reason="policy_denied"'), 2);
  assert.equal(value('palisade_handshakes_total', 'outcome="expired"', 'side="inbound"'), 1);
  assert.equal(value('palisade_refused_total', 'kind="bad_request"'), 1);
  assert.equal(value('palisade_connections', 'side="inbound"', 'protocol="http"'), 3);
  assert.equal(value('palisade_certificate_expiry_seconds'), 60);
  assert.equal(value('palisade_policy_version', 'namespace="default"'), 12);
  assert.equal(value('palisade_policy_staleness_seconds'), 5);
  const telemetry = (name: string, ...labels: string[]) =>
    value(`palisade_telemetry_${name}`, ...labels);
  assert.equal(telemetry('issued_total'), 20);
  assert.equal(telemetry('kept_total', 'reason="denied"'), 3);
  assert.equal(telemetry('sampled_total'), 10);
  assert.equal(telemetry('dropped_total', 'kind="success"'), 1);
  assert.equal(telemetry('dropped_total', 'kind="denial"'), 0);
  assert.equal(telemetry('unacked'), 4);
  assert.equal(telemetry('queue_bytes', 'queue="disk"'), 900);
});

test('OpenMetrics: counters are named without _total in their family, and it ends with EOF', async () => {
  const metrics = create();
  metrics.countCall(metrics.edge(HTTP), callWith({}));
  for (let scrape = 0; scrape < 2; scrape++) {
    const { body, contentType } = await metrics.exposition(true);
    assert.match(contentType, /^application\/openmetrics-text; version=1\.0\.0/);
    assert.match(body, /^# TYPE istio_requests counter$/m);
    assert.match(body, /^istio_requests_total\{.*\} 1$/m);
    assert.match(body, /# EOF\n$/);
  }
});

test('attack: endless sources and statuses share an overflow', async () => {
  const metrics = create(10);
  for (let i = 0; i < 1_000; i++) {
    const sourceId = `spiffe://cluster.local/ns/default/sa/${i}`;
    metrics.countCall(metrics.edge({ ...HTTP, sourceId }), callWith({}));
  }
  const edge = metrics.edge({ ...HTTP, sourceId: 'spiffe://cluster.local/ns/default/sa/0' });
  for (let status = 100; status < 1_000; status++) metrics.countCall(edge, callWith({ status }));
  const { body } = await metrics.exposition(false);
  const requests = body.split('\n').filter((each) => each.startsWith('istio_requests_total{'));
  assert.ok(requests.length <= 10 + 1 + 101, `${requests.length}`);
  const sum = requests.reduce((total, each) => total + Number(each.split(' ').at(-1)), 0);
  assert.equal(sum, 1_900, 'nothing is lost');
  assert.equal(sampleOf(body, 'palisade_metric_edges_overflowed_total', []), 990);
  assert.equal(sampleOf(body, 'istio_requests_total', ['source_workload="overflow"']), 990);
});

test('our own counters are bounded too, and lose nothing', async () => {
  const metrics = create();
  for (let i = 0; i < 1_000; i++) metrics.refused(`kind-${i}`).value++;
  const { body } = await metrics.exposition(false);
  assert.equal(sampleOf(body, 'palisade_refused_total', ['kind="overflow"']), 800);
});

test('hostile label values are escaped', async () => {
  const metrics = create();
  metrics.countCall(metrics.edge({ ...HTTP, sourceService: 'a"b\\c\nd' }), callWith({}));
  const { body } = await metrics.exposition(false);
  assert.ok(body.includes('source_workload="a\\"b\\\\c\\nd"'));
});

test('edge deltas hold what happened since they were last taken', () => {
  const metrics = create();
  const edge = metrics.edge(HTTP);
  metrics.edge({ ...HTTP, sourceService: 'silent' });
  const counts = () =>
    metrics
      .edges()
      .map(({ requests, denied, errors, bytesIn, bytesOut, durationUsSum }) => [
        requests,
        denied,
        errors,
        bytesIn,
        bytesOut,
        durationUsSum,
      ]);
  metrics.countCall(edge, callWith({ bytesIn: 1, bytesOut: 2, durationUs: 3 }));
  metrics.countCall(edge, callWith({ verdict: 'deny', reason: 'policy_denied', status: 403 }));
  assert.deepEqual(counts(), [[2, 1, 0, 1, 2, 3]]);
  assert.deepEqual(counts(), []);
  metrics.countCall(edge, callWith({ status: 503, reason: 'upstream_connect_failed' }));
  metrics.countCall(edge, callWith({ reason: 'allowed_by_policy' }));
  assert.deepEqual(counts(), [[2, 0, 1, 0, 0, 0]]);
  edge.opened++;
  assert.equal(metrics.edges()[0]?.connections, 1);
});

/** The value of the one sample with this name and these labels. */
function sampleOf(body: string, name: string, labels: readonly string[]): number | undefined {
  const found = body
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .find((line) => labels.every((label) => line.includes(label)));
  return found === undefined ? undefined : Number(found.split(' ').at(-1));
}

test('decisions on incoming calls have a histogram; providers have one of their own', async () => {
  const metrics = create();
  const edge = metrics.edge(HTTP);
  metrics.countCall(edge, callWith({ decisionUs: 40 }));
  metrics.countCall(edge, callWith({ decisionUs: 4_000, isConsulted: true }));
  metrics.countCall(edge, callWith({}));
  metrics.countCall(metrics.edge({ ...HTTP, reporter: 'source' }), callWith({ decisionUs: 40 }));
  const { body } = await metrics.exposition(false);
  const name = 'palisade_decision_duration_seconds';
  assert.equal(sampleOf(body, `${name}_count`, ['consulted="false"']), 1);
  assert.equal(sampleOf(body, `${name}_count`, ['consulted="true"']), 1);
  assert.equal(sampleOf(body, `${name}_bucket`, ['consulted="false"', 'le="0.000025"']), 0);
  assert.equal(sampleOf(body, `${name}_bucket`, ['consulted="false"', 'le="0.00005"']), 1);
});

test('attack: an application that makes up statuses and reasons fills no scrape, and it is counted', async () => {
  const metrics = create();
  const edge = metrics.edge(HTTP);
  for (let i = 0; i < 1_000; i++) metrics.countCall(edge, callWith({ status: 200 + i }));
  for (let i = 0; i < 1_000; i++) metrics.countCall(edge, callWith({ reason: `made_up_${i}` }));
  assert.equal(edge.outcomes.size, 101);
  const { body } = await metrics.exposition(false);
  const name = 'palisade_metric_labels_overflowed_total';
  assert.equal(sampleOf(body, name, ['metric="istio_requests_total"']), 1_900);
  assert.equal(sampleOf(body, 'istio_requests_total', ['response_code="overflow"']), 1_900);
});

test('our own codes have a bound too, with a counter', async () => {
  const metrics = create();
  for (let i = 0; i < 300; i++) metrics.refused(`kind_${i}`).value++;
  const { body } = await metrics.exposition(false);
  assert.equal(sampleOf(body, 'palisade_refused_total', ['kind="overflow"']), 100);
  const name = 'palisade_metric_labels_overflowed_total';
  assert.equal(sampleOf(body, name, ['metric="palisade_refused_total"']), 100);
});
