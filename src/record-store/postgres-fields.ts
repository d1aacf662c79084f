/** A list as PostgreSQL reads it, which is sooner written than a value for each number. */
export function listOf(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`;
}

/**
 * A record's fields as `jsonb` takes them. SECURITY: it refuses NUL and halves of surrogate pairs, which JSON may hold; a
 * sidecar that sends one would stop all that is written with it. They become U+FFFD.
 */
export function storable(fields: Readonly<Record<string, unknown>>): {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly json: string;
} {
  const json = JSON.stringify(fields);
  if (!UNSTORABLE.test(json)) return { fields, json };
  const clean = cleaned(fields) as Readonly<Record<string, unknown>>;
  return { fields: clean, json: JSON.stringify(clean) };
}

// `JSON.stringify` escapes both; it may be an escaped backslash that is matched, which costs a second look.
const UNSTORABLE = /\\u(?:0000|d[89a-f])/;

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '\ufffd');
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([name, one]) => [cleaned(name), cleaned(one)]));
}

/** In the order in which sidecars write them, which `jsonb` does not keep; fields of later versions follow. */
export function inOrder(
  fields: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const ordered: Record<string, unknown> = {};
  for (const name of ORDER) if (name in fields) ordered[name] = fields[name];
  return Object.assign(ordered, fields);
}

const ORDER: readonly string[] = [
  'time',
  'id',
  'kind',
  'reporter',
  'source.id',
  'source.service',
  'source.ip',
  'destination.id',
  'destination.service',
  'destination.namespace',
  'destination.port',
  'connection.sni',
  'tls.version',
  'tls.cipher',
  'tls.group',
  'peer_serial',
  'method',
  'host',
  'path',
  'policy',
  'rule',
  'policy_version',
  'denial_id',
  'trace_id',
  'span_id',
  'parent_span_id',
  'duration_us',
  'decision_us',
  'tunnel_wait_us',
  'upstream_us',
  'bytes_in',
  'bytes_out',
  'headers',
  'redacted',
  'redaction_key',
  'dry_run',
  'audit',
  'exception',
  'status',
  'grpc_status',
  'reason',
  'verdict',
  'weight',
  'kept',
  'seq',
];
