import { type Evidence, isServerFailure, type ReportedRecord, recordId } from '../evidence.ts';
import { type Attributable, type Attribute, attributes } from './otlp-attributes.ts';

/** Whose telemetry it is: the resource of OTLP. */
export type Origin = {
  readonly namespace: string;
  readonly service: string;
  readonly instance: string;
};

/** The sidecar that made a record. */
export function originOf(record: ReportedRecord): Origin {
  const isServer = record.reporter === 'destination';
  const service = isServer ? record['destination.service'] : record['source.service'];
  const id = isServer ? record['destination.id'] : record['source.id'];
  // Istio's form of SPIFFE IDs holds the namespace.
  const [, namespace = ''] = /\/ns\/([^/]+)\//.exec(id ?? '') ?? [];
  return { namespace, service: service ?? 'unknown_service', instance: record.node };
}

/** Attributes of the resource, by OpenTelemetry's semantic conventions. */
export function resourceAttributes(origin: Origin, trustDomain: string): Attribute[] {
  return attributes({
    'service.name': origin.service,
    'service.namespace': origin.namespace === '' ? undefined : origin.namespace,
    'service.instance.id': origin.instance,
    'palisade.trust_domain': trustDomain,
  });
}

/**
 * Attributes of a call: OpenTelemetry's semantic conventions where they have a name (1.30: http, rpc, url, network, tls,
 * client, server), `palisade.` and the record's own key otherwise.
 */
export function callAttributes(record: ReportedRecord): Attribute[] {
  return attributes({
    ...methodAttributes(record.method),
    'http.response.status_code': record.status,
    'rpc.system': record.grpc_status === undefined ? undefined : 'grpc',
    'rpc.grpc.status_code': record.grpc_status,
    // Between the application and its sidecar; on the way the mesh's TLS is around it.
    'url.scheme': record.kind === 'http' ? 'http' : undefined,
    'url.path': record.path,
    'server.address': addressOf(record.host) ?? record['destination.service'],
    'server.port': record['destination.port'],
    'client.address': record['source.ip'],
    'http.request.body.size': record.kind === 'http' ? record.bytes_in : undefined,
    'http.response.body.size': record.kind === 'http' ? record.bytes_out : undefined,
    'network.protocol.name': record.kind === 'http' ? 'http' : undefined,
    'network.transport': 'tcp',
    'error.type': errorType(record),
    'tls.protocol.name': record['tls.version'] === null ? undefined : 'tls',
    'tls.protocol.version': record['tls.version']?.replace(/^TLSv/, ''),
    'tls.cipher': record['tls.cipher'],
    'tls.curve': record['tls.group'],
    ...ownAttributes(record),
  });
}

// The methods that the conventions know; of any other they want `_OTHER`, so that callers make no series of their own.
const METHODS: ReadonlySet<string> = new Set(
  'CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE'.split(' '),
);

function methodAttributes(method: string | null): Record<string, Attributable> {
  if (method === null || METHODS.has(method)) return { 'http.request.method': method };
  return { 'http.request.method': '_OTHER', 'http.request.method_original': method };
}

// The conventions want a name or an address, without the port that stands beside it.
function addressOf(host: string | null): string | undefined {
  const [, bracketed, name] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d*)?$/.exec(host ?? '') ?? [];
  return bracketed ?? name ?? host ?? undefined;
}

// One of few words: our reason, else the status.
function errorType(record: ReportedRecord): string | undefined {
  if (record.verdict !== 'deny' && !isServerFailure(record)) return undefined;
  return record.reason ?? String(record.grpc_status ?? record.status ?? '_OTHER');
}

/** `log.record.uid` of an item, which is how receivers tell what was sent twice. */
export function uidOf(item: Evidence): string {
  return item.kind === 'records' || item.kind === 'traces' ? recordId(item.value) : item.id;
}

// Under these names conventions already have them.
const NAMED_ELSEWHERE: ReadonlySet<string> = new Set([
  'time',
  'id',
  'node',
  'record.id',
  'method',
  'status',
  'grpc_status',
  'path',
  'host',
  'source.ip',
  'destination.port',
  'tls.version',
  'tls.cipher',
  'tls.group',
  'trace_id',
  'span_id',
  'parent_span_id',
]);

function ownAttributes(record: ReportedRecord): Record<string, Attributable> {
  const own: Record<string, Attributable> = {};
  for (const [key, value] of Object.entries(record)) {
    if (NAMED_ELSEWHERE.has(key)) continue;
    // Lists (dry-run verdicts, redacted fields) as JSON: OTLP's readers show text, few show lists of mappings.
    const isList = typeof value === 'object' && value !== null;
    own[`palisade.${key}`] = isList ? JSON.stringify(value) : (value as Attributable);
  }
  return own;
}
