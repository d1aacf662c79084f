import { parseSpiffeId } from '#identity';
import { originalAddress } from '#lib';
import { type Claims, normalizeClaims, type Question } from '#policy';
import { canonicalTarget } from '../canonical-request.ts';
import { pick, type Random } from './authored-policies.ts';

/** What is the same for all requests of one connection. */
export type OracleConnection = {
  /** Without `spiffe://`. */
  readonly caller: string;
  readonly ip: string;
  readonly localIp: string;
  readonly sni: string;
};

/** One request to put before Envoy and before Palisade. */
export type OracleRequest = {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** Lines of `x-tenant`. */
  readonly tenants: readonly string[];
  /** Lines of `x-forwarded-for`. */
  readonly forwarded: readonly string[];
  readonly claims: Claims | undefined;
};

/** Connections by callers of all kinds. */
export const CONNECTIONS: readonly OracleConnection[] = [
  ['td1/ns/web/sa/front', '127.0.0.1', 'orders.example'],
  ['td1/ns/web/sa/front/v2', '127.0.0.2', 'shop.example'],
  ['old-td1/ns/shop/sa/front', '127.0.0.4', 'orders'],
  ['other/ns/shop/sa/orders', '127.0.0.1', 'ordersX'],
  ['td1/ns/a/ns/web/sa/x', '127.0.0.2', 'orders.example'],
  ['td1/ns/foo/x/sa/front', '127.0.0.9', 'a.b'],
  ['td1/workload/7', '127.0.0.1', 'orders.example'],
].map(([caller = '', ip = '', sni = '']) => ({ caller, ip, localIp: '127.0.0.1', sni }));

const PATHS = [
  '/',
  '/a',
  '/a/',
  '/a/b',
  '/a/b/z',
  '/a/x/y/z',
  '/a/*x',
  '/x/b',
  '/s.css',
  '/ab',
  '/b|c',
  '/%7ex',
  '/a/b?c=/a',
  '/a/[1]',
  '/A',
  '/a//b',
  '/a/../b',
  '/a%2Fb',
  '/q/%41',
];

/** A request from the vocabulary of `authoredPolicies`. */
export function oracleRequest(random: Random): OracleRequest {
  return {
    method: pick(random, ['GET', 'GET', 'POST', 'DELETE']),
    host: pick(random, ['orders.example', 'Orders.Example', 'shop.example', 'orders:8080', 'b']),
    path: pick(random, PATHS),
    tenants: pick(random, [[], ['acme'], ['acme-eu'], [''], ['evil', 'acme'], ['acme,evil']]),
    forwarded: pick(random, [
      [],
      [],
      ['10.0.0.7'],
      ['10.0.0.7, 192.0.2.1'],
      ['192.0.2.1', '10.9.9.9'],
    ]),
    claims: random() < 0.35 ? undefined : oracleClaims(random),
  };
}

function oracleClaims(random: Random): Claims {
  return {
    iss: 'https://id.example',
    ...(random() < 0.85 && { sub: pick(random, ['alice', 'bob', '']) }),
    aud: pick(random, ['orders', ['orders', 'web'], ['other']]),
    ...(random() < 0.5 && { azp: pick(random, ['app', 'bpp']) }),
    groups: pick(random, ['admin', ['user', 'admin'], ['user'], 7, { admin: true }]),
    realm: pick(random, [{ roles: ['admin'] }, { roles: 'user' }, 'roles', null]),
    scope: pick(random, ['read write', 'read', ['write']]),
    level: pick(random, [7, '7', true]),
    'team.role': pick(random, ['lead  dev', 'dev', ['lead dev'], '']),
  };
}

/** Claims that hold a list in one text, besides those that always do. */
export const ORACLE_LISTS: readonly string[] = ['team.role'];

/** The question that a proxy would ask about a request; undefined where it refuses the path before policy. */
export function oracleQuestion(
  { caller, ip, localIp, sni }: OracleConnection,
  request: OracleRequest,
  port: number,
): Question | undefined {
  const id = parseSpiffeId(`spiffe://${caller}`);
  const path = canonicalTarget(request.path, 'STRICT');
  if (!id.ok) throw new Error(id.error);
  if (!path.ok) return undefined;
  const lines: Readonly<Record<string, readonly string[]>> = {
    'x-tenant': request.tenants,
    host: [request.host],
  };
  return {
    source: { id: id.value, ip, remoteIp: originalAddress(request.forwarded, 0, ip) },
    connection: { tls: true, sni },
    request: {
      method: request.method,
      host: request.host.toLowerCase(),
      path: path.value,
      headers: { collect: (name, into) => into.push(...(lines[name] ?? [])) },
      claims: request.claims && normalizeClaims(request.claims, ORACLE_LISTS),
    },
    destination: { port, ip: localIp },
    nowMs: 0,
  };
}
