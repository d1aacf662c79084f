import { ATTESTATION_STRENGTHS, parseSpiffeId, type SpiffeId } from '#identity';
import { normalizeClaims } from '../claims.ts';
import type { Field } from '../field.ts';
import type { AlternativeIr, ConditionIr, PolicyAction, PolicyIr, RuleIr } from '../ir.ts';
import { parseCondition } from '../pattern.ts';
import type { Question, RequestFacts } from '../question.ts';
import { headersOf } from './policies.ts';

/** Numbers from 0 up to 1, the same for the same seed. */
export type Random = () => number;

/** A small generator (mulberry32) so that a failure is repeated by its seed alone. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Policies over a vocabulary so small that rules and questions often meet. */
export function randomPolicies(random: Random): readonly PolicyIr[] {
  const most = random() < 0.05 ? 120 : 8;
  return Array.from({ length: below(random, 6) }, (_, index) => {
    const action = pick(random, ACTIONS);
    const isEither = action === 'ALLOW' || action === 'DENY';
    return {
      id: `default/p${index}`,
      namespace: 'default',
      name: `p${index}`,
      action,
      provider: action === 'CUSTOM' ? pick(random, ['opa', 'opa', 'iam']) : undefined,
      exceptions: action === 'DENY' && random() < 0.3 ? randomExceptions(random, index) : undefined,
      dryRun: isEither && random() < 0.15,
      rules: Array.from({ length: below(random, most) }, () => randomRule(random)),
      origin: { labels: {}, annotations: {}, matchLabels: { app: 'orders' }, targets: [] },
    };
  });
}

const ACTIONS: readonly PolicyAction[] = [
  ...Array.from({ length: 5 }, () => 'ALLOW' as const),
  ...Array.from({ length: 4 }, () => 'DENY' as const),
  'AUDIT',
  'CUSTOM',
];

function randomExceptions(random: Random, policy: number): PolicyIr['exceptions'] {
  return Array.from({ length: 1 + below(random, 2) }, (_, index) => ({
    id: `default/e${policy}-${index}`,
    expiresAt: pick(random, TIMES),
    rules: Array.from({ length: 1 + below(random, 2) }, () => randomRule(random)),
  }));
}

/** A question from the same vocabulary; one in four is a TCP connection, one in six plaintext. */
export function randomQuestion(random: Random): Question {
  const id = random() < 1 / 6 ? undefined : pick(random, IDS);
  return {
    source: {
      id,
      ip: pick(random, ADDRESSES),
      remoteIp: random() < 0.01 ? undefined : pick(random, ADDRESSES),
      attestation: random() < 0.2 ? undefined : pick(random, ATTESTATION_STRENGTHS),
    },
    connection: {
      tls: id !== undefined,
      sni: random() < 0.5 ? undefined : pick(random, SERVER_NAMES),
    },
    request: random() < 0.25 ? undefined : randomRequest(random),
    destination: { port: pick(random, [80, 443, 9000]), ip: pick(random, ADDRESSES) },
    nowMs: pick(random, TIMES),
  };
}

function randomRequest(random: Random): RequestFacts {
  const lines = Array.from({ length: below(random, 3) }, () => pick(random, TENANTS));
  return {
    method: pick(random, ['GET', 'POST', 'DELETE', '']),
    host: pick(random, ['orders', 'Orders.default', 'api.example.com:8080', 'a.b', '']),
    path: pick(random, PATHS),
    headers: random() < 0.01 ? undefined : headersOf({ 'x-tenant': lines }),
    claims: random() < 0.3 ? undefined : normalizeClaims(randomClaims(random)),
  };
}

function randomClaims(random: Random): Readonly<Record<string, unknown>> {
  return {
    iss: pick(random, ['https://id.example', 'https://other', '', 7]),
    ...(random() < 0.2 ? {} : { sub: pick(random, ['alice', 'bob', '', null]) }),
    aud: pick(random, ['orders', ['orders', 'web'], [], { orders: true }]),
    scope: pick(random, ['read write', 'read', ' ', ['write']]),
    realm: pick(random, [{ roles: ['admin', 7, 'user'] }, { roles: 'admin' }, 'roles', null]),
  };
}

// A Thursday's midnight, a Friday afternoon, a Saturday night.
const TIMES = [0, Date.UTC(2026, 0, 2, 15, 30), Date.UTC(2026, 0, 3, 23, 59)];
const TENANTS = ['acme', 'acme-eu', 'evil', '', 'ACME', 'acme,evil'];

const PATHS = [
  '',
  '/',
  '/a',
  '/a/',
  '/a/b',
  '/a/b/z',
  '/a/*x',
  '/api/v1/users',
  '/api/v1/users/7/orders',
  '/api/[1]',
  '/a//z',
  '/static/x.css',
  '/ab',
];

const ADDRESSES = [
  '10.0.0.1',
  '10.0.255.9',
  '10.16.0.1',
  '192.0.2.7',
  '::ffff:10.0.0.1',
  '2001:db8::7',
  '2001:db8:4000::7',
  '2001:db8:8000::7',
  '::1',
];

const SERVER_NAMES = ['orders', 'outbound.x', 'orders.default.svc', ''];

const IDS: readonly SpiffeId[] = [
  'td/ns/web/sa/front',
  'td/ns/web/sa/front/v2',
  'td/ns/shop/sa/front',
  'td/ns/shop/sa/orders',
  'other/ns/shop/sa/orders',
  'td/ns/a/ns/web/sa/x',
  'td/ns/web/x/sa/front',
  'td/workload/7',
  'td/ns/sa/sa/sa',
  'td',
].map((text) => {
  const parsed = parseSpiffeId(`spiffe://${text}`);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
});

const ADDRESS_VALUES = ['10.0.0.1', '10.0.0.0/16', '0.0.0.0/0', '2001:db8::/32', '::/0', '::1'];

const VALUES: Readonly<Record<Field, readonly string[]>> = {
  principal: [
    'td/ns/web/sa/front',
    'cluster.local/ns/shop/sa/orders',
    'td/ns/web/*',
    'td/ns/*',
    '*/sa/front',
    '*front*',
    '*',
    'other/*',
    't*/ns/shop/sa/orders',
    '*//td/ns/web/sa/front',
    'spiffe://td/ns/web/sa/front',
  ],
  namespace: ['web', 'shop', '*', 'w*', '*nt', 's*p', '*e*', 'a/ns/web', 'sa', '', 'web/*/sa'],
  serviceAccount: ['front', 'shop/front', 'web/front', 'shop/orders', 'web/x', 'sa/sa', 'a/x'],
  ip: [
    '10.0.0.1',
    '10.0.0.0/16',
    '0.0.0.0/0',
    '2001:db8::/32',
    '::/0',
    '192.0.2.0/25',
    '::1',
    '10.0.0.0/12',
    '2001:db8::/33',
  ],
  method: ['GET', 'POST', 'P*', '*T', '*', 'get'],
  host: ['ORDERS', 'orders.*', '*.com', '*:8080', '*', 'a.b', '*.Default'],
  path: [
    '/a',
    '/a/*',
    '/api/*',
    '/api/v1/*',
    '*/users',
    '*.css',
    '*',
    '/a/**',
    '/a/{*}',
    '/a/{**}',
    '/a/{**}/z',
    '/api/{*}/users/{*}/orders',
    '/{**}',
    '*x*',
  ],
  port: ['80', '443', '9000'],
  sni: ['orders', 'outbound.*', '*.svc', '*'],
  remoteIp: ADDRESS_VALUES,
  destinationIp: ADDRESS_VALUES,
  attestation: ATTESTATION_STRENGTHS,
  time: [
    'Mon-Fri 08:00-18:00',
    'Sat,Sun',
    '22:00-06:00',
    'Fri 23:00-01:00',
    '1970-01-01T00:00:00Z/2026-01-03T00:00:00Z',
  ],
  requestPrincipal: [
    'https://id.example/alice',
    'https://id.example/*',
    'https://id.*',
    '*/bob',
    '*ice',
    'https*',
    '*',
    '*example/alice',
    'https://other/',
  ],
  'header:x-tenant': ['acme', 'acme*', '*eu', '*', 'acme,evil'],
  'claim:["aud"]': ['orders', 'w*', '*', '*s'],
  'claim:["scope"]': ['read', 'write', 'read write', '*'],
  'claim:["realm","roles"]': ['admin', 'user', '*min'],
  'claim:["constructor","name"]': ['Object', '*'],
};

const SOURCE_FIELDS: readonly Field[] = [
  'principal',
  'namespace',
  'serviceAccount',
  'ip',
  'remoteIp',
  'requestPrincipal',
];
const WHEN_FIELDS: readonly Field[] = [
  'sni',
  'port',
  'ip',
  'attestation',
  'time',
  'destinationIp',
  'header:x-tenant',
  'claim:["aud"]',
  'claim:["scope"]',
  'claim:["realm","roles"]',
  'claim:["constructor","name"]',
];
const OPERATION_FIELDS: readonly Field[] = ['method', 'host', 'path', 'port'];

function randomRule(random: Random): RuleIr {
  // Now and then more combinations than the compiler lays out one by one.
  const many = random() < 0.03 ? 14 : 3;
  return {
    sources: Array.from({ length: below(random, many) }, () =>
      randomAlternative(random, SOURCE_FIELDS),
    ),
    operations: Array.from({ length: below(random, many) }, () =>
      randomAlternative(random, OPERATION_FIELDS),
    ),
    when: Array.from({ length: random() < 0.7 ? 0 : 1 + below(random, 2) }, () =>
      randomCondition(random, pick(random, WHEN_FIELDS)),
    ),
  };
}

function randomAlternative(random: Random, fields: readonly Field[]): AlternativeIr {
  const chosen = fields.filter(() => random() < 0.4);
  const conditions = chosen.map((field) => randomCondition(random, field));
  // The same field may stand twice: once as it is and once negated.
  const more = random() < 0.2 ? [randomCondition(random, pick(random, fields))] : [];
  return [...conditions, ...more];
}

function randomCondition(random: Random, field: Field): ConditionIr {
  const values = Array.from({ length: 1 + below(random, random() < 0.1 ? 12 : 3) }, () =>
    pick(random, VALUES[field] ?? []),
  );
  const parsed = parseCondition(
    { field, negated: random() < 0.3, values },
    { trustDomain: 'td', namespace: 'web' },
  );
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}

function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[below(random, from.length)];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
}
