import { fail, ok, type Result } from '#lib';

/**
 * The attribute of a question that a condition reads. A header's name is in lower case; a claim's
 * path is a JSON list of member names, e.g. `claim:["realm_access","roles"]`.
 */
export type Field = PlainField | `header:${string}` | `claim:${string}`;

type PlainField =
  | 'principal'
  | 'namespace'
  | 'serviceAccount'
  | 'requestPrincipal'
  | 'ip'
  | 'remoteIp'
  | 'attestation'
  | 'method'
  | 'host'
  | 'path'
  | 'port'
  | 'destinationIp'
  | 'sni'
  | 'time';

/** The field of one header of a request; names of headers compare without case. */
export function headerField(name: string): Field {
  return `header:${name.toLowerCase()}`;
}

/** The field of one claim of a token, by the names that lead to it. */
export function claimField(path: readonly string[]): Field {
  return `claim:${JSON.stringify(path)}`;
}

/** The name of the header that a field is; undefined for every other field. */
export function headerNameOf(field: Field): string | undefined {
  return field.startsWith(HEADER) ? field.slice(HEADER.length) : undefined;
}

/** The path of the claim that a field is; undefined for every other field. */
export function claimPathOf(field: Field): readonly string[] | undefined {
  if (!field.startsWith(CLAIM)) return undefined;
  return JSON.parse(field.slice(CLAIM.length)) as readonly string[];
}

/** Whether only a request has the field. On a TCP connection an ALLOW rule with one is void, a DENY rule loses it. */
export function isHttpField(field: Field): boolean {
  return HTTP_FIELDS.has(field) || field.startsWith(HEADER) || field.startsWith(CLAIM);
}

/** Whether a field is an address, matched by blocks. */
export function isAddressField(field: Field): boolean {
  return field === 'ip' || field === 'remoteIp' || field === 'destinationIp';
}

/** The field in words, as sentences name it. */
export function fieldWords(field: Field): string {
  const header = headerNameOf(field);
  if (header !== undefined) return `header \`${header}\``;
  const claim = claimPathOf(field);
  if (claim !== undefined) return `claim \`${claim.join('.')}\``;
  return NAMES[field as PlainField].words;
}

/** The field's list in a source or operation, e.g. `notPaths`; undefined for what only `when` can say. */
export function authoredList(field: Field, negated: boolean): string | undefined {
  const list = NAMES[field as PlainField]?.list;
  if (list === undefined || !negated) return list;
  return `not${list.charAt(0).toUpperCase()}${list.slice(1)}`;
}

/** The field's key in `when`, e.g. `request.auth.claims[groups]`; undefined for what only lists can say. */
export function conditionKey(field: Field): string | undefined {
  const header = headerNameOf(field);
  if (header !== undefined) return `request.headers[${header}]`;
  const claim = claimPathOf(field);
  if (claim === undefined) return NAMES[field as PlainField].key;
  if (claim.length === 1 && claim[0] === 'aud') return 'request.auth.audiences';
  if (claim.length === 1 && claim[0] === 'azp') return 'request.auth.presenter';
  return `request.auth.claims${claim.map((name) => `[${name}]`).join('')}`;
}

/** The field that a list of a source or operation reads, and whether it is negated. */
export function fieldOfList(
  list: string,
): { readonly field: Field; readonly negated: boolean } | undefined {
  const negated = /^not[A-Z]/.test(list);
  const positive = negated ? list.charAt(3).toLowerCase() + list.slice(4) : list;
  const field = BY_LIST.get(positive);
  return field === undefined ? undefined : { field, negated };
}

/** The field that a key of `when` reads; the error says why there is none. */
export function parseConditionKey(key: string): Result<Field, string> {
  const plain = BY_KEY.get(key);
  if (plain !== undefined) return ok(plain);
  if (key === 'request.auth.audiences') return ok(claimField(['aud']));
  if (key === 'request.auth.presenter') return ok(claimField(['azp']));
  const header = /^request\.headers\[([^\][]+)\]$/.exec(key)?.[1];
  if (header !== undefined) return ok(headerField(header));
  const claims = /^request\.auth\.claims((?:\[[^\][]+\])+)$/.exec(key)?.[1];
  if (claims !== undefined) return ok(claimField(claims.slice(1, -1).split('][')));
  return fail(`\`${key.slice(0, 80)}\` is no condition that this version reads`);
}

const HEADER = 'header:';
const CLAIM = 'claim:';

const HTTP_FIELDS: ReadonlySet<Field> = new Set<Field>([
  'requestPrincipal',
  'method',
  'host',
  'path',
]);

type Names = { readonly words: string; readonly list?: string; readonly key?: string };

const NAMES: Readonly<Record<PlainField, Names>> = {
  principal: { words: 'principal', list: 'principals', key: 'source.principal' },
  namespace: { words: 'namespace', list: 'namespaces', key: 'source.namespace' },
  serviceAccount: {
    words: 'service account',
    list: 'serviceAccounts',
    key: 'source.serviceAccount',
  },
  requestPrincipal: {
    words: 'request principal',
    list: 'requestPrincipals',
    key: 'request.auth.principal',
  },
  ip: { words: 'source address', list: 'ipBlocks', key: 'source.ip' },
  remoteIp: { words: 'original source address', list: 'remoteIpBlocks', key: 'remote.ip' },
  attestation: { words: 'attestation', key: 'source.attestation' },
  method: { words: 'method', list: 'methods' },
  host: { words: 'host', list: 'hosts' },
  path: { words: 'path', list: 'paths' },
  port: { words: 'port', list: 'ports', key: 'destination.port' },
  destinationIp: { words: 'destination address', key: 'destination.ip' },
  sni: { words: 'server name', key: 'connection.sni' },
  time: { words: 'time', key: 'request.time' },
};

const NAMED = Object.entries(NAMES) as readonly (readonly [PlainField, Names])[];
const BY_LIST: ReadonlyMap<string, Field> = new Map(
  NAMED.flatMap(([field, { list }]) => (list === undefined ? [] : [[list, field] as const])),
);
const BY_KEY: ReadonlyMap<string, Field> = new Map(
  NAMED.flatMap(([field, { key }]) => (key === undefined ? [] : [[key, field] as const])),
);
