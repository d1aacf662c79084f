import { parseSpiffeId, type SpiffeId } from '#identity';
import type { AlternativeIr, ConditionIr, Field, PolicyIr, RuleIr } from '../ir.ts';
import { parseCondition } from '../pattern.ts';
import type { Question } from '../question.ts';

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
  return Array.from({ length: below(random, 6) }, (_, index) => ({
    id: `default/p${index}`,
    namespace: 'default',
    name: `p${index}`,
    action: random() < 0.6 ? 'ALLOW' : 'DENY',
    dryRun: random() < 0.15,
    rules: Array.from({ length: below(random, most) }, () => randomRule(random)),
    origin: { labels: {}, annotations: {}, matchLabels: { app: 'orders' }, targets: [] },
  }));
}

/** A question from the same vocabulary; one in four is a TCP connection, one in six plaintext. */
export function randomQuestion(random: Random): Question {
  const id = random() < 1 / 6 ? undefined : pick(random, IDS);
  return {
    source: { id, ip: pick(random, ADDRESSES) },
    connection: {
      tls: id !== undefined,
      sni: random() < 0.5 ? undefined : pick(random, SERVER_NAMES),
    },
    request:
      random() < 0.25
        ? undefined
        : {
            method: pick(random, ['GET', 'POST', 'DELETE', '']),
            host: pick(random, ['orders', 'Orders.default', 'api.example.com:8080', 'a.b', '']),
            path: pick(random, PATHS),
          },
    destination: { port: pick(random, [80, 443, 9000]) },
    nowMs: 0,
  };
}

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
};

const SOURCE_FIELDS: readonly Field[] = ['principal', 'namespace', 'serviceAccount', 'ip'];
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
    when: random() < 0.9 ? [] : [randomCondition(random, pick(random, ['sni', 'port', 'ip']))],
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
    pick(random, VALUES[field]),
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
