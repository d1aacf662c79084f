import { METRIC } from '../names.ts';
import type { EdgeCounters, EdgeKey, OutcomeCounts } from './edge.ts';
import type { HistogramSample, MetricFamily, NumberSample } from './exposition.ts';
import type { WorkloadLabels } from './proxy-metrics.ts';

type Labels = Readonly<Record<string, string>>;

// Envoy's response flags for the reasons that have one; a denial by RBAC has none there either.
const RESPONSE_FLAGS: Readonly<Record<string, string>> = {
  no_such_service: 'NR',
  no_healthy_endpoint: 'UH',
  upstream_connect_failed: 'UF',
  upstream_tls_failed: 'UF',
  upstream_identity_mismatch: 'UF',
  upstream_timeout: 'UT',
  upstream_failed: 'UC',
  caller_gone: 'DC',
  idle_timeout: 'SI',
  rate_limited: 'RL',
  bad_request: 'DPE',
  too_large: 'DPE',
};

/** Istio's standard metrics with Istio's labels, from the counters of all edges. */
export function edgeFamilies(
  edges: readonly EdgeCounters[],
  workload: WorkloadLabels,
): MetricFamily[] {
  const requestEdges = edges.filter((edge) => edge.key.protocol !== 'tcp');
  const outcomes = requestEdges.flatMap((edge) => {
    const labels = labelsOf(edge.key, workload);
    return [...edge.outcomes.values()].map((outcome) => ({
      labels: { ...labels, ...outcomeLabels(outcome) },
      outcome,
    }));
  });
  const tcp = edges
    .filter((edge) => edge.key.protocol === 'tcp')
    .map((edge) => ({ labels: { ...labelsOf(edge.key, workload), response_flags: '-' }, edge }));
  const each = (value: (edge: EdgeCounters) => number): NumberSample[] =>
    tcp.map(({ labels, edge }) => ({ labels, value: value(edge) }));
  const histograms = (
    pick: (outcome: OutcomeCounts) => HistogramSample['histogram'],
  ): HistogramSample[] =>
    outcomes.map(({ labels, outcome }) => ({ labels, histogram: pick(outcome) }));
  return [
    counter(
      METRIC.requests,
      'Requests by edge and outcome.',
      outcomes.map(({ labels, outcome }) => ({ labels, value: outcome.requests })),
    ),
    histogram(
      METRIC.requestDuration,
      'Duration of requests.',
      histograms((o) => o.durationMs),
    ),
    histogram(
      METRIC.requestBytes,
      'Size of request bodies.',
      histograms((o) => o.requestBytes),
    ),
    histogram(
      METRIC.responseBytes,
      'Size of response bodies.',
      histograms((o) => o.responseBytes),
    ),
    counter(
      METRIC.tcpOpened,
      'TCP connections opened.',
      each((edge) => edge.opened),
    ),
    counter(
      METRIC.tcpClosed,
      'TCP connections closed.',
      each((edge) => edge.closed),
    ),
    counter(
      METRIC.tcpSent,
      'Bytes sent as responses over TCP.',
      each((edge) => edge.bytesOut),
    ),
    counter(
      METRIC.tcpReceived,
      'Bytes received as requests over TCP.',
      each((e) => e.bytesIn),
    ),
  ];
}

function counter(name: string, help: string, samples: readonly NumberSample[]): MetricFamily {
  return { name, help, kind: 'counter', samples };
}

function histogram(name: string, help: string, samples: readonly HistogramSample[]): MetricFamily {
  return { name, help, kind: 'histogram', samples };
}

function outcomeLabels({ status, grpcStatus, reason }: OutcomeCounts): Labels {
  return {
    response_code: reason === 'overflow' ? 'overflow' : String(status),
    // As Istio has it: empty, which is no label to Prometheus, where the call is not gRPC's.
    grpc_response_status: grpcStatus < 0 ? '' : String(grpcStatus),
    response_flags: (reason === null ? undefined : RESPONSE_FLAGS[reason]) ?? '-',
    palisade_reason: reason ?? '-',
  };
}

/** Istio says `unknown` where it does not know, and leaves the policy to the destination's report. */
function labelsOf(key: EdgeKey, workload: WorkloadLabels): Labels {
  const service = key.destinationService ?? 'unknown';
  const namespace = key.destinationNamespace ?? 'unknown';
  const host =
    key.destinationService === null
      ? 'unknown'
      : `${service}.${namespace}.svc.${workload.trustDomain}`;
  const source = key.sourceService ?? 'unknown';
  return {
    reporter: key.reporter,
    source_workload: source,
    source_workload_namespace: key.sourceNamespace ?? 'unknown',
    source_principal: principalOf(key.sourceId),
    source_app: source,
    destination_workload: service,
    destination_workload_namespace: namespace,
    destination_principal: principalOf(key.destinationId),
    destination_app: service,
    destination_service: host,
    destination_service_name: service,
    destination_service_namespace: namespace,
    request_protocol: key.protocol,
    connection_security_policy: securityPolicyOf(key),
  };
}

function principalOf(id: string | null): string {
  return id ?? 'unknown';
}

function securityPolicyOf(key: EdgeKey): string {
  if (key.reporter === 'source') return 'unknown';
  return key.mtls ? 'mutual_tls' : 'none';
}
