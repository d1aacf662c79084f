import {
  isServerFailure,
  otherFields,
  type RecordEvidence,
  type ReportedRecord,
  type TraceEvidence,
} from '../evidence.ts';
import { OCSF_CLASS, ocsfHead, ocsfStatus } from './ocsf-class.ts';
import type { FormatAuthor } from './plain-text.ts';
import { summaryOf } from './summary.ts';

// activity_id of HTTP Activity; another method is 99, and then http_request names none, since the schema lists these.
// SECURITY: a map, since a caller may call its method `__proto__`.
const METHODS: ReadonlyMap<string, readonly [number, string]> = new Map(
  Object.entries({
    CONNECT: [1, 'Connect'] as const,
    DELETE: [2, 'Delete'] as const,
    GET: [3, 'Get'] as const,
    HEAD: [4, 'Head'] as const,
    OPTIONS: [5, 'Options'] as const,
    POST: [6, 'Post'] as const,
    PUT: [7, 'Put'] as const,
    TRACE: [8, 'Trace'] as const,
  }),
);
const OTHER = [99, 'Other'] as const;
// What says that the caller, or the user, did not prove who they are.
const UNAUTHENTICATED: ReadonlySet<string> = new Set(['peer_unauthenticated', 'token_invalid']);

/** A call as OCSF. */
export function ocsfCall(
  item: RecordEvidence | TraceEvidence,
  author: FormatAuthor,
): Record<string, unknown> {
  const { value: record } = item;
  if (UNAUTHENTICATED.has(record.reason ?? '')) return authentication(item, author);
  return record.kind === 'http' ? httpActivity(item, author) : networkActivity(item, author);
}

type CallItem = RecordEvidence | TraceEvidence;

function httpActivity(item: CallItem, author: FormatAuthor): Record<string, unknown> {
  const { value: record } = item;
  return {
    ...head(item, author, {
      class: OCSF_CLASS.httpActivity,
      activity: METHODS.get(record.method ?? '') ?? OTHER,
    }),
    ...common(record),
    http_request: httpRequest(record),
    http_response: httpResponse(record),
    trace: record.trace_id === null ? undefined : { uid: record.trace_id },
  };
}

function networkActivity(item: CallItem, author: FormatAuthor): Record<string, unknown> {
  const { value: record } = item;
  // Open and Refuse: the record tells of a whole connection, or of one that was not let in.
  const activity = record.verdict === 'deny' ? ([5, 'Refuse'] as const) : ([1, 'Open'] as const);
  return {
    ...head(item, author, { class: OCSF_CLASS.networkActivity, activity }),
    ...common(record),
  };
}

function authentication(item: CallItem, author: FormatAuthor): Record<string, unknown> {
  const { value: record } = item;
  const isHttp = record.kind === 'http';
  const { traffic: _traffic, connection_info: _connection, tls: _tls, ...rest } = common(record);
  const user = record['source.id'] ?? record['source.service'] ?? record['source.ip'] ?? 'unknown';
  return {
    ...head(item, author, { class: OCSF_CLASS.authentication, activity: [1, 'Logon'] }),
    ...rest,
    user: { name: user },
    logon_type_id: 3,
    logon_type: 'Network',
    is_remote: true,
    service: { name: record['destination.service'] ?? 'unknown' },
    http_request: isHttp ? httpRequest(record) : undefined,
    http_response: isHttp ? httpResponse(record) : undefined,
  };
}

function head(
  item: CallItem,
  author: FormatAuthor,
  what: Pick<Parameters<typeof ocsfHead>[0], 'class' | 'activity'>,
): Record<string, unknown> {
  const { value: record, id } = item;
  const profiles = [
    'security_control',
    ...(what.class === OCSF_CLASS.httpActivity ? ['trace'] : []),
  ];
  const severity = record.verdict === 'deny' ? 'Medium' : 'Informational';
  const rest = { severity, time: record.time, id, log: 'access', profiles } as const;
  return ocsfHead({ ...what, ...rest, message: summaryOf(item) }, author);
}

function common(record: ReportedRecord): Record<string, unknown> {
  const isDenied = record.verdict === 'deny';
  const isFailure = isDenied || isServerFailure(record);
  const { policy, rule, policy_version: version } = record;
  return {
    ...ocsfStatus(isFailure ? 'Failure' : 'Success'),
    status_code: record.reason ?? (record.status === null ? undefined : String(record.status)),
    duration: Math.round(record.duration_us / 1000),
    count: record.weight,
    // security_control profile.
    action_id: isDenied ? 2 : 1,
    action: isDenied ? 'Denied' : 'Allowed',
    disposition_id: isDenied ? 2 : 1,
    disposition: isDenied ? 'Blocked' : 'Allowed',
    policy: policy === null ? undefined : { name: policy, version, is_applied: true },
    firewall_rule: rule === null ? undefined : { uid: `${policy ?? ''}#${rule}`, version },
    src_endpoint: {
      ip: record['source.ip'],
      uid: record['source.id'],
      svc_name: record['source.service'],
      name: record['source.id'] ?? record['source.ip'] ?? 'unknown',
    },
    dst_endpoint: {
      uid: record['destination.id'],
      svc_name: record['destination.service'],
      port: record['destination.port'],
      name: record['destination.service'] ?? record.host ?? 'unknown',
    },
    connection_info: {
      // Lateral, as the caller and the called are both of the mesh.
      direction_id: 3,
      direction: 'Lateral',
      protocol_num: 6,
      protocol_name: 'tcp',
    },
    traffic: {
      bytes_in: record.bytes_in,
      bytes_out: record.bytes_out,
      bytes: record.bytes_in + record.bytes_out,
    },
    tls:
      record['tls.version'] === null
        ? undefined
        : {
            version: record['tls.version'],
            cipher: record['tls.cipher'],
            sni: record['connection.sni'],
          },
    unmapped: {
      method: METHODS.has(record.method ?? '') ? undefined : record.method,
      ...otherFields(record, NAMED),
    },
  };
}

// What has an attribute of OCSF, or is of our store alone; all else a reader may want too.
const NAMED: ReadonlySet<string> = new Set(
  [
    'time kind id record.id method host path status reason verdict weight',
    'source.id source.service source.ip connection.sni tls.version tls.cipher',
    'destination.id destination.service destination.port trace_id',
    'policy rule policy_version duration_us bytes_in bytes_out',
  ].flatMap((names) => names.split(' ')),
);

function httpRequest(record: ReportedRecord): Record<string, unknown> {
  return {
    http_method: METHODS.has(record.method ?? '') ? record.method : undefined,
    url: { path: record.path ?? '/', hostname: hostnameOf(record.host) },
    length: record.bytes_in,
  };
}

function httpResponse(record: ReportedRecord): Record<string, unknown> | undefined {
  if (record.status === null) return undefined;
  return {
    code: record.status,
    length: record.bytes_out,
    latency: Math.round(record.duration_us / 1000),
  };
}

// hostname_t is a name; whatever a caller wrote besides one is no hostname of anybody.
function hostnameOf(host: string | null): string | undefined {
  const [, name] = /^([A-Za-z0-9][A-Za-z0-9.-]{0,252})(?::\d{1,5})?$/.exec(host ?? '') ?? [];
  return name;
}
