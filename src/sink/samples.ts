import type { AlertEvidence, Evidence, EvidenceKind, ReportedRecord } from './evidence.ts';

/** One item of each kind that says of itself that it is a test; the receivers show them as any other. */
export function sampleEvidence(
  kind: EvidenceKind,
  { nowMs, trustDomain }: { readonly nowMs: number; readonly trustDomain: string },
): Evidence {
  const time = new Date(nowMs).toISOString();
  const id = `test-${kind}-${nowMs}`;
  const position = nowMs;
  if (kind === 'records' || kind === 'traces') {
    return { kind, id, position, value: { ...sampleRecord(time, trustDomain), id } };
  }
  if (kind === 'alerts') return sampleAlert(id, nowMs);
  if (kind === 'metrics') {
    const family = {
      name: 'palisade_sink_test',
      help: 'A test of a sink.',
      kind: 'gauge',
    } as const;
    const families = [{ ...family, samples: [{ labels: {}, value: 1 }] }];
    return { kind, id, position, value: { time, since: time, families } };
  }
  const value = {
    time,
    index: 0,
    log: 'control',
    action: 'sink.test',
    'actor.id': 'palisade sink test',
    'target.kind': 'Sink',
    'target.name': 'test',
    'target.namespace': 'palisade-system',
    result: 'ok',
    reason: 'a test of this sink, not an event',
    previous_hash: '0'.repeat(64),
    hash: '0'.repeat(64),
  } as const;
  return { kind, id, position, value };
}

function sampleAlert(id: string, nowMs: number): AlertEvidence {
  const value = {
    id,
    name: 'sink-test',
    severity: 'ticket',
    state: 'firing',
    starts_at: new Date(nowMs).toISOString(),
    ends_at: null,
    summary: 'a test of this sink, not an alert',
    labels: { test: 'true' },
    evidence: [],
    likely_cause: 'somebody ran `palisade sink test`',
    runbook: '',
    command: 'palisade sink list',
    group: 'sink-test',
    silenced_by: null,
    inhibited_by: null,
  } as const;
  return { kind: 'alerts', id, position: nowMs, value };
}

function sampleRecord(time: string, trustDomain: string): ReportedRecord {
  return {
    time,
    kind: 'http',
    reporter: 'destination',
    'source.id': `spiffe://${trustDomain}/ns/palisade-system/sa/sink-test`,
    'source.service': 'sink-test',
    'source.ip': '127.0.0.1',
    'destination.id': `spiffe://${trustDomain}/ns/palisade-system/sa/sink-test`,
    'destination.service': 'sink-test',
    'destination.namespace': 'palisade-system',
    'destination.port': 80,
    'connection.sni': null,
    'tls.version': 'TLSv1.3',
    'tls.cipher': 'TLS_AES_128_GCM_SHA256',
    'tls.group': 'X25519MLKEM768',
    peer_serial: '00',
    method: 'GET',
    host: 'sink-test',
    path: '/this-is-a-test',
    policy: null,
    rule: null,
    policy_version: null,
    denial_id: null,
    trace_id: '00000000000000000000000000000001',
    span_id: '0000000000000001',
    duration_us: 1,
    bytes_in: 0,
    bytes_out: 0,
    status: 200,
    reason: null,
    verdict: 'allow',
    seq: 0,
    node: 'sink-test',
  };
}
