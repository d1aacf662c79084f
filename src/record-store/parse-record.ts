import { fail, ok, type Result } from '#lib';

/** The fields of a record, as they were sent and checked. */
export type RecordFields = Readonly<Record<string, unknown>>;

type Check = (value: unknown) => boolean;

const MAX_BYTES = 64 * 1024;
const MAX_TEXT = 16_384;
const MAX_FIELDS = 80;
// SECURITY: a field's name goes into answers and objects; this leaves out `__proto__` and what is no name.
const FIELD = /^[a-z][a-z0-9_.]{0,63}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

const isText: Check = (value) =>
  value === null || (typeof value === 'string' && value.length <= MAX_TEXT);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isOneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string);
const isTime: Check = (value) =>
  typeof value === 'string' && TIME.test(value) && Number.isFinite(Date.parse(value));

/** What an agent sends is checked for shape, not believed: a host that lies about its own calls can be named by node. */
const REQUIRED: readonly (readonly [string, Check])[] = [
  ['time', isTime],
  ['kind', isOneOf('http', 'tcp')],
  ['reporter', isOneOf('destination', 'source')],
  ['destination.port', isCount],
  ['duration_us', isCount],
  ['bytes_in', isCount],
  ['bytes_out', isCount],
  ['status', (value) => value === null || isCount(value)],
  ['verdict', isOneOf('allow', 'deny')],
  ['seq', isCount],
  ...[
    'source.id',
    'source.service',
    'source.ip',
    'destination.id',
    'destination.service',
    'destination.namespace',
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
    'reason',
  ].map((name) => [name, isText] as const),
];

const KNOWN: ReadonlySet<string> = new Set(REQUIRED.map(([name]) => name));

function isName(name: string): boolean {
  return KNOWN.has(name) || FIELD.test(name);
}

// SECURITY: no plain objects where others name the key: `constructor` is in each of those.
const OPTIONAL: ReadonlyMap<string, Check> = new Map<string, Check>(
  Object.entries({
    grpc_status: isCount,
    weight: (value: unknown) => isCount(value) && (value as number) >= 1,
    dry_run: (value: unknown) => Array.isArray(value) && value.every(isTrial),
    headers: (value: unknown) =>
      typeof value === 'object' && value !== null && Object.values(value).every(isText),
  }),
);

const isTrial: Check = (value) => {
  const { policy, verdict } = (value ?? {}) as { policy?: unknown; verdict?: unknown };
  return typeof policy === 'string' && isOneOf('allow', 'deny')(verdict);
};

/** Reads one access record as it travels; an error in words for anything that is none. Unknown fields are kept. */
export function parseRecord(bytes: Uint8Array): Result<RecordFields, string> {
  if (bytes.length > MAX_BYTES) return fail(`a record of ${bytes.length} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    return fail('a record that is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return notDocumented('');
  const fields = value as Record<string, unknown>;
  for (const [name, check] of REQUIRED) if (!check(fields[name])) return notDocumented(name);
  let count = 0;
  for (const name in fields) {
    if (++count > MAX_FIELDS || !isName(name) || OPTIONAL.get(name)?.(fields[name]) === false) {
      return notDocumented(name.slice(0, 80));
    }
  }
  // Ours to say: where it came from and its number here.
  delete fields['node'];
  delete fields['record.id'];
  return ok(fields);
}

function notDocumented(name: string): Result<never, string> {
  return fail(`a record whose \`${name}\` is not as documented`);
}

/**
 * SECURITY: whether a record tells of a call of the service whose node sends it: a sidecar that was taken over writes
 * nothing into the records of others. Nodes are named `NAMESPACE/SERVICE/SUFFIX`; `identity` is the SPIFFE ID that the
 * node proved, as far as it is known.
 */
export function isOwnRecord(
  { node, identity }: { readonly node: string; readonly identity: string | undefined },
  fields: RecordFields,
): boolean {
  const [namespace = '', service = ''] = node.split('/');
  const side = fields['reporter'] === 'destination' ? 'destination' : 'source';
  const own = fields[`${side}.service`];
  if (own !== null && own !== service) return false;
  const called = fields['destination.namespace'];
  if (side === 'destination' && called !== null && called !== namespace) return false;
  const id = fields[`${side}.id`];
  if (id === null) return true;
  if (identity !== undefined) return id === identity;
  const named = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\//.exec(String(id))?.[1];
  return named === undefined || named === namespace;
}
