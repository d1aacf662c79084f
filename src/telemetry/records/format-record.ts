import type {
  ConnectionFacts,
  KeptReason,
  RecordedCall,
  RecordedConnection,
} from './access-record.ts';

/** No record is longer, whatever the network sent: this much room suffices for `formatRecord`. */
export const MAX_RECORD_BYTES = 60 * 1024;

// SECURITY: bounds what one hostile field takes, six bytes a character once escaped.
const MAX_PATH_CHARS = 1024;
const MAX_FIELD_CHARS = 256;
const MAX_HEADERS = 8;
const MAX_HEADER_CHARS = 100;
// What JSON text may hold unescaped and is one latin1 byte: printable ASCII without `"` and `\`.
const NEEDS_ESCAPE = /[^ !#-[\]-~]/;
const EACH_TO_ESCAPE = /[^ !#-[\]-~]/g;

// Whole pieces of text: what is built anew for each record costs more than all of its writing.
const KEPT_TEXT: Readonly<Record<KeptReason, string>> = {
  audit: ',"kept":"audit"',
  denied: ',"kept":"denied"',
  error: ',"kept":"error"',
  rollout: ',"kept":"rollout"',
  first_seen: ',"kept":"first_seen"',
  slow: ',"kept":"slow"',
  sampled: ',"kept":"sampled"',
  all: ',"kept":"all"',
};

type Latin1Buffer = Buffer & { latin1Write: (text: string, offset: number) => number };

/** Writes the constant part of a connection's records once. */
export function createRecordedConnection(facts: ConnectionFacts): RecordedConnection {
  const fields: [string, string | number | null][] = [
    ['kind', facts.kind],
    ['reporter', facts.reporter],
    ['source.id', facts.sourceId],
    ['source.service', facts.sourceService],
    ['source.ip', facts.sourceIp],
    ['destination.id', facts.destinationId],
    ['destination.service', facts.destinationService],
    ['destination.namespace', facts.destinationNamespace],
    ['destination.port', facts.destinationPort],
    ['connection.sni', facts.sni],
    ['tls.version', facts.tlsVersion],
    ['tls.cipher', facts.tlsCipher],
    ['tls.group', facts.tlsGroup],
    ['peer_serial', facts.peerSerial],
  ];
  const parts = fields.map(
    ([key, value]) => `"${key}":${typeof value === 'string' ? quote(value) : value}`,
  );
  return { json: `,${parts.join(',')}` };
}

/** The JSON string of `text` in printable ASCII, cut to a bounded length. */
export function quote(text: string): string {
  return `"${escape(text, MAX_FIELD_CHARS)}"`;
}

/**
 * Writes a call as one line of JSON into `target` at `offset` and returns the offset after its line feed.
 * The caller makes sure of `MAX_RECORD_BYTES` of room. Writing piece by piece into a buffer that stays
 * keeps record text off the heap (a third of the proxy's memory otherwise).
 */
export type RecordFormat = (
  target: Buffer,
  offset: number,
  call: RecordedCall,
  seq: number,
) => number;

/** The format of the records of one start of a process, which `boot` names in their ids. */
export function createRecordFormat(boot: string): RecordFormat {
  const idPrefix = `,"id":"${boot}-`;
  return (target, offset, call, seq) => {
    const buffer = target as Latin1Buffer;
    const at = offset + buffer.latin1Write(timePrefix(call.startedAt), offset);
    const end = writeNumber(buffer, at, idPrefix, seq);
    return writeCall(buffer, end + buffer.latin1Write('"', end), call, seq);
  };
}

function writeCall(buffer: Latin1Buffer, start: number, call: RecordedCall, seq: number): number {
  let at = start;
  at += buffer.latin1Write(call.connection.json, at);
  at = writeField(buffer, at, ',"method":', call.method);
  at = writeField(buffer, at, ',"host":', call.host);
  at += buffer.latin1Write(',"path":', at);
  at = writeText(buffer, at, withoutQuery(call.path), MAX_PATH_CHARS);
  at = writeField(buffer, at, ',"policy":', call.policy);
  at = writeField(buffer, at, ',"rule":', call.rule);
  at = writeField(buffer, at, ',"policy_version":', call.policyVersion);
  at = writeField(buffer, at, ',"denial_id":', call.denialId);
  at = writeField(buffer, at, ',"trace_id":', call.traceId);
  at = writeField(buffer, at, ',"span_id":', call.spanId);
  at = writeField(buffer, at, ',"parent_span_id":', call.parentSpanId);
  at = writeNumber(buffer, at, ',"duration_us":', call.durationUs);
  at = writeReached(buffer, at, ',"decision_us":', call.decisionUs);
  at = writeReached(buffer, at, ',"tunnel_wait_us":', call.tunnelWaitUs);
  at = writeReached(buffer, at, ',"upstream_us":', call.upstreamUs);
  at = writeNumber(buffer, at, ',"bytes_in":', call.bytesIn);
  at = writeNumber(buffer, at, ',"bytes_out":', call.bytesOut);
  if (call.headers !== undefined) at = writeHeaders(buffer, at, call.headers);
  if (call.redacted !== undefined) at = writeRedacted(buffer, at, call.redacted);
  if (call.redactionKey !== undefined)
    at = writeField(buffer, at, ',"redaction_key":', call.redactionKey);
  if (call.dryRun !== undefined) at = writeDryRun(buffer, at, call.dryRun);
  if (call.audit !== undefined) at = writeField(buffer, at, ',"audit":', call.audit);
  if (call.exception !== undefined) at = writeField(buffer, at, ',"exception":', call.exception);
  if (call.status === 0) at += buffer.latin1Write(',"status":null', at);
  else at = writeNumber(buffer, at, ',"status":', call.status);
  at = writeReached(buffer, at, ',"grpc_status":', call.grpcStatus);
  at = writeField(buffer, at, ',"reason":', call.reason);
  at += buffer.latin1Write(
    call.verdict === 'allow' ? ',"verdict":"allow"' : ',"verdict":"deny"',
    at,
  );
  at = writeNumber(buffer, at, ',"weight":', call.weight);
  // INVARIANT: these two come last and in this order; the spool's reader finds them from the line's end.
  at += buffer.latin1Write(KEPT_TEXT[call.kept], at);
  at = writeNumber(buffer, at, ',"seq":', seq);
  return at + buffer.latin1Write('}\n', at);
}

function writeField(buffer: Latin1Buffer, at: number, key: string, value: string | null): number {
  return writeText(buffer, at + buffer.latin1Write(key, at), value, MAX_FIELD_CHARS);
}

function writeText(
  buffer: Latin1Buffer,
  at: number,
  value: string | null,
  maxChars: number,
): number {
  if (value === null) return at + buffer.latin1Write('null', at);
  buffer[at] = 0x22;
  const isPlain = value.length <= maxChars && !NEEDS_ESCAPE.test(value);
  const end = at + 1 + buffer.latin1Write(isPlain ? value : escape(value, maxChars), at + 1);
  buffer[end] = 0x22;
  return end + 1;
}

function writeNumber(buffer: Latin1Buffer, at: number, key: string, value: number): number {
  const end = at + buffer.latin1Write(key, at);
  // A JSON number: NaN and fractions never reach a record.
  return end + buffer.latin1Write(`${value > 0 ? Math.floor(value) : 0}`, end);
}

function writeReached(buffer: Latin1Buffer, at: number, key: string, value: number): number {
  return value < 0 ? at : writeNumber(buffer, at, key, value);
}

function writeHeaders(
  buffer: Latin1Buffer,
  at: number,
  headers: NonNullable<RecordedCall['headers']>,
): number {
  const shown = headers
    .slice(0, MAX_HEADERS)
    .map(([name, value]) => `"${escape(name, 40)}":"${escape(value, MAX_HEADER_CHARS)}"`);
  return at + buffer.latin1Write(`,"headers":{${shown.join(',')}}`, at);
}

function writeRedacted(buffer: Latin1Buffer, at: number, fields: readonly string[]): number {
  const names = fields.slice(0, MAX_HEADERS + 2).map((name) => `"${escape(name, 40)}"`);
  return at + buffer.latin1Write(`,"redacted":[${names.join(',')}]`, at);
}

function writeDryRun(
  buffer: Latin1Buffer,
  at: number,
  verdicts: NonNullable<RecordedCall['dryRun']>,
): number {
  const shown = verdicts
    .slice(0, 3)
    .map(({ policy, verdict }) => `{"policy":${quote(policy)},"verdict":"${verdict}"}`);
  return at + buffer.latin1Write(`,"dry_run":[${shown.join(',')}]`, at);
}

function escape(text: string, maxChars: number): string {
  const kept = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
  return kept.replace(
    EACH_TO_ESCAPE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// SECURITY: query strings hold tokens and personal data; they stay out even if a caller forgot to cut them.
function withoutQuery(path: string | null): string | null {
  if (path === null) return null;
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

let prefixSecond = -1;
let prefix = '';

// Formatting a date costs more than the rest of a line, so it is done once a second.
function timePrefix(atMs: number): string {
  const second = Math.floor(atMs / 1000);
  if (second !== prefixSecond) {
    prefixSecond = second;
    prefix = `{"time":"${new Date(second * 1000).toISOString().slice(0, 20)}`;
  }
  const ms = Math.floor(atMs - second * 1000);
  return `${prefix}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z"`;
}
