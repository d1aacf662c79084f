import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type RecordClass, readRecordLine } from '../spool/spooled-record.ts';
import {
  type AccessRecord,
  type ConnectionFacts,
  createRecordedCall,
  type KeptReason,
  type RecordedCall,
} from './access-record.ts';
import { createRecordedConnection, createRecordFormat, MAX_RECORD_BYTES } from './format-record.ts';

const formatRecord = createRecordFormat('bootboot');

const FACTS: ConnectionFacts = {
  kind: 'http',
  reporter: 'destination',
  sourceId: 'spiffe://cluster.local/ns/default/sa/web',
  sourceService: 'web',
  sourceIp: '127.0.0.1',
  destinationId: 'spiffe://cluster.local/ns/default/sa/orders',
  destinationService: 'orders',
  destinationNamespace: 'default',
  destinationPort: 80,
  sni: null,
  tlsVersion: 'TLSv1.3',
  tlsCipher: 'TLS_AES_128_GCM_SHA256',
  tlsGroup: 'X25519MLKEM768',
  peerSerial: '0a1b',
};

test('every field of the reference is there, in its own type', () => {
  const record = written({
    startedAt: Date.parse('2026-05-01T12:00:00.007Z'),
    method: 'GET',
    host: 'orders',
    path: '/orders/1',
    policy: 'default/orders',
    rule: '0',
    policyVersion: 'default@3',
    denialId: 'd-1',
    traceId: 'a'.repeat(32),
    spanId: 'b'.repeat(16),
    parentSpanId: 'c'.repeat(16),
    durationUs: 1234.9,
    decisionUs: 40.2,
    tunnelWaitUs: 0,
    upstreamUs: 900,
    bytesIn: 10,
    bytesOut: 20,
    headers: [['user-agent', 'a "b"\n']],
    redacted: ['path'],
    dryRun: [{ policy: 'default/next', verdict: 'allow' }],
    audit: 'default/watch',
    exception: 'default/until-june',
    status: 403,
    grpcStatus: 7,
    reason: 'policy_denied',
    verdict: 'deny',
    weight: 12,
    kept: 'denied',
  });
  assert.deepEqual(record, {
    time: '2026-05-01T12:00:00.007Z',
    id: 'bootboot-1',
    kind: 'http',
    reporter: 'destination',
    'source.id': FACTS.sourceId,
    'source.service': 'web',
    'source.ip': '127.0.0.1',
    'destination.id': FACTS.destinationId,
    'destination.service': 'orders',
    'destination.namespace': 'default',
    'destination.port': 80,
    'connection.sni': null,
    'tls.version': 'TLSv1.3',
    'tls.cipher': 'TLS_AES_128_GCM_SHA256',
    'tls.group': 'X25519MLKEM768',
    peer_serial: '0a1b',
    method: 'GET',
    host: 'orders',
    path: '/orders/1',
    policy: 'default/orders',
    rule: '0',
    policy_version: 'default@3',
    denial_id: 'd-1',
    trace_id: 'a'.repeat(32),
    span_id: 'b'.repeat(16),
    parent_span_id: 'c'.repeat(16),
    duration_us: 1234,
    decision_us: 40,
    tunnel_wait_us: 0,
    upstream_us: 900,
    bytes_in: 10,
    bytes_out: 20,
    headers: { 'user-agent': 'a "b"\n' },
    redacted: ['path'],
    dry_run: [{ policy: 'default/next', verdict: 'allow' }],
    audit: 'default/watch',
    exception: 'default/until-june',
    status: 403,
    grpc_status: 7,
    reason: 'policy_denied',
    verdict: 'deny',
    weight: 12,
    kept: 'denied',
    seq: 1,
  });
});

test('times within a second and across seconds', () => {
  for (const text of [
    '2026-05-01T12:00:00.000Z',
    '2026-05-01T12:00:00.999Z',
    '2026-05-01T12:00:01.010Z',
  ]) {
    assert.equal(written({ startedAt: Date.parse(text) }).time, text);
  }
});

test('the query string never gets into a record', () => {
  assert.equal(written({ path: '/pay?token=secret' }).path, '/pay');
  assert.equal(written({ path: '?token=secret' }).path, '');
});

test('attack: text that imitates the end of a record or another record', () => {
  const forged = '","kept":"audit","seq":1}\n{"verdict":"allow","seq":9';
  const text = lineOf({ path: forged, host: '","kept":"all","seq":7}', kept: 'denied' });
  assert.equal(text.indexOf('\n'), text.length - 1, 'one line');
  assert.equal((JSON.parse(text) as AccessRecord).path, forged);
  const read = readRecordLine(Buffer.from(text.slice(0, -1)));
  assert.equal(read?.seq, 1);
  assert.equal(read?.class, 'denial');
});

test('any text comes back as it was, in printable ASCII and bounded room', () => {
  const anyText = fc.string({ unit: 'binary', maxLength: 60 });
  fc.assert(
    fc.property(anyText, anyText, anyText, (method, host, reason) => {
      const line = lineOf({ method, host, reason });
      assert.match(line, /^[ -~]+\n$/);
      const record = JSON.parse(line) as AccessRecord;
      assert.deepEqual([record.method, record.host, record.reason], [method, host, reason]);
    }),
  );
});

test('the worst of everything fits into the room a record is promised', () => {
  const long = '\u0001'.repeat(100_000);
  const facts = Object.fromEntries(
    Object.entries(FACTS).map(([key, value]) => [key, typeof value === 'number' ? value : long]),
  ) as unknown as ConnectionFacts;
  const call: RecordedCall = {
    ...createRecordedCall(createRecordedConnection(facts)),
    method: long,
    host: long,
    path: long,
    policy: long,
    rule: long,
    policyVersion: long,
    denialId: long,
    traceId: long,
    spanId: long,
    parentSpanId: long,
    reason: long,
    headers: Array.from({ length: 100 }, () => [long, long] as const),
    redacted: Array.from({ length: 100 }, () => long),
    dryRun: Array.from({ length: 100 }, () => ({ policy: long, verdict: 'deny' as const })),
    audit: long,
    exception: long,
  };
  const buffer = Buffer.alloc(MAX_RECORD_BYTES);
  const end = formatRecord(buffer, 0, call, Number.MAX_SAFE_INTEGER);
  assert.ok(end < MAX_RECORD_BYTES, `${end}`);
  assert.equal((JSON.parse(buffer.toString('latin1', 0, end)) as AccessRecord).path?.length, 1025);
});

test('numbers that are none become zero', () => {
  const record = written({ durationUs: Number.NaN, bytesIn: -1, bytesOut: 0.5 });
  assert.deepEqual([record.duration_us, record.bytes_in, record.bytes_out], [0, 0, 0]);
});

/** What a reader of the spool takes a record for. */
function checkClass(kept: KeptReason, expected: RecordClass): void {
  test(`kept as ${kept}: read as ${expected}`, () => {
    const line = Buffer.from(lineOf({ kept })).subarray(0, -1);
    assert.deepEqual(readRecordLine(line), { seq: 1, json: line, class: expected });
  });
}

checkClass('all', 'success');
checkClass('sampled', 'success');
checkClass('slow', 'success');
checkClass('first_seen', 'success');
checkClass('rollout', 'success');
checkClass('error', 'error');
checkClass('denied', 'denial');
checkClass('audit', 'audit');

test('every truncation of a line is torn', () => {
  const line = Buffer.from(lineOf({ path: '/a"}{' })).subarray(0, -1);
  for (let length = 0; length < line.length; length++) {
    assert.equal(readRecordLine(line.subarray(0, length)), undefined, `${length}`);
  }
});

function lineOf(call: Partial<RecordedCall>): string {
  const buffer = Buffer.alloc(MAX_RECORD_BYTES + 8, 0xff);
  const whole = { ...createRecordedCall(createRecordedConnection(FACTS)), ...call };
  const end = formatRecord(buffer, 8, whole, 1);
  assert.equal(buffer[7], 0xff);
  return buffer.toString('latin1', 8, end);
}

function written(call: Partial<RecordedCall>): AccessRecord {
  return JSON.parse(lineOf(call)) as AccessRecord;
}
