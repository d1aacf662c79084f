import type { AuthoredPolicy, AuthoredRule } from './istio-rbac.ts';

/** Numbers from 0 up to 1. */
export type Random = () => number;

/** The trust domain of the policies, and its other name. */
export const DOMAINS = ['td1', 'old-td1'] as const;

/** One or two policies as people could write them, over a vocabulary so small that requests often meet them. */
export function authoredPolicies(random: Random, ports: readonly string[]): AuthoredPolicy[] {
  return Array.from({ length: 1 + below(random, 2) }, (_, i) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `p${i}`, namespace: 'foo' },
    spec: {
      action: i === 0 ? 'ALLOW' : 'DENY',
      rules: Array.from({ length: 1 + below(random, 3) }, () => randomRule(random, ports)),
    },
  }));
}

/** Values of each list and key, each in every form that Istio knows and some that only look like one. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  principals: [
    'cluster.local/ns/web/sa/front',
    'td1/ns/web/sa/front',
    'old-td1/ns/shop/sa/front',
    'other/ns/shop/sa/orders',
    'td1/ns/web/*',
    'cluster.local/ns/web/*',
    '*/sa/front',
    '*td1/ns/web/sa/front',
    'td*/ns/web/sa/front',
    '*front*',
    '*',
  ],
  namespaces: ['web', 'shop', 'w*', '*eb', '*', 's*p', '*nt', 'we', 'web/sa'],
  serviceAccounts: ['front', 'web/front', 'shop/orders', 'foo/front', 'web/fron'],
  ipBlocks: ['127.0.0.1', '127.0.0.0/30', '127.0.0.4', '10.0.0.0/8', '::/0'],
  remoteIpBlocks: ['10.0.0.7', '10.0.0.0/8', '127.0.0.0/8', '2001:db8::/32'],
  requestPrincipals: [
    'https://id.example/alice',
    'https://id.example/*',
    'https://id.*',
    '*',
    '*/alice',
    '*example/alice',
    '*ice',
    'https*',
    'https://id.example',
  ],
  methods: ['GET', 'POST', 'P*', '*T', '*', 'get', 'DELETE'],
  hosts: ['orders.example', 'ORDERS.example', '*.example', 'orders*', '*', '*:8080', 'orders'],
  paths: [
    '/a',
    '/a/*',
    '/a*',
    '*/b',
    '*.css',
    '*',
    '/a/**',
    '*a*',
    '/a/{*}',
    '/a/{**}',
    '/a/{**}/z',
    '/{*}/b',
    '/{**}/z',
    '/a/{*}/{**}',
    '/b%7Cc',
    '/~x',
  ],
  'request.headers[X-Tenant]': ['acme', 'acme*', '*eu', '*', 'acme,evil', 'ACME', '*cm*'],
  'request.headers[host]': ['orders.example', 'Orders.Example', '*example'],
  'request.auth.audiences': ['orders', 'ord*', '*ers', '*', 'web'],
  'request.auth.presenter': ['app', 'a*', '*'],
  'request.auth.claims[groups]': ['admin', 'adm*', '*in', '*'],
  'request.auth.claims[realm][roles]': ['admin', 'user', '*'],
  'request.auth.claims[scope]': ['read', 'write', 'read write', '*'],
  'request.auth.claims[team.role]': ['lead', 'dev', 'lead dev', '*'],
  'request.auth.claims[level]': ['7', '*'],
  'source.ip': ['127.0.0.1', '127.0.0.4'],
  'remote.ip': ['10.0.0.7', '127.0.0.0/8'],
  'source.namespace': ['web', '*'],
  'source.principal': ['td1/ns/web/sa/front', '*'],
  'destination.ip': ['127.0.0.1', '127.0.0.0/8', '10.0.0.0/8'],
  'connection.sni': ['orders.example', '*.example', 'orders*', '*'],
};

const SOURCE_LISTS = [
  'principals',
  'namespaces',
  'ipBlocks',
  'remoteIpBlocks',
  'requestPrincipals',
];
const OPERATION_LISTS = ['methods', 'hosts', 'paths'];
const KEYS = Object.keys(VALUES).filter((key) => key.includes('.'));

function randomRule(random: Random, ports: readonly string[]): AuthoredRule {
  const from = Array.from({ length: below(random, 3) }, () => ({ source: source(random) }));
  const to = Array.from({ length: below(random, 3) }, () => ({
    operation: lists(random, OPERATION_LISTS, { ports }),
  }));
  const when = Array.from({ length: below(random, 3) }, () => {
    const key = pick(random, KEYS);
    const values = some(random, VALUES[key] ?? []);
    const kind = random();
    if (kind < 0.6) return { key, values };
    if (kind < 0.85) return { key, notValues: values };
    return { key, values, notValues: some(random, VALUES[key] ?? []) };
  });
  return {
    ...(from.length > 0 && { from }),
    ...(to.length > 0 && { to }),
    ...(when.length > 0 && { when }),
  };
}

// Istio takes no serviceAccounts beside principals or namespaces.
function source(random: Random): Readonly<Record<string, readonly string[]>> {
  if (random() < 0.2) return lists(random, ['serviceAccounts', 'ipBlocks'], {});
  return lists(random, SOURCE_LISTS, {});
}

function lists(
  random: Random,
  names: readonly string[],
  more: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, readonly string[]>> {
  const values = { ...VALUES, ...more };
  const all = [...names, ...Object.keys(more)];
  const entries = all
    .filter(() => random() < 1.2 / all.length)
    .map((name) => {
      const key = random() < 0.3 ? `not${name.charAt(0).toUpperCase()}${name.slice(1)}` : name;
      return [key, some(random, values[name] ?? [])] as const;
    });
  const first = all[0] ?? '';
  return entries.length > 0
    ? Object.fromEntries(entries)
    : { [first]: some(random, values[first] ?? []) };
}

function some(random: Random, from: readonly string[]): readonly string[] {
  const values = Array.from({ length: 1 + below(random, 2) }, () => pick(random, from));
  return [...new Set(values)];
}

function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}

/** One of some, at random. */
export function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[below(random, from.length)];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
}
