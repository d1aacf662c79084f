// Envoy's own JWT filter, configured as Istio configures it, and our stage give the same outcome for each request; where
// ours is stricter on purpose, the case says why.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createFakeIssuer, fakeTokenRule } from '../../src/proxy/fake-issuer.ts';
import { ask, createFakePair, type FakePair } from '../../src/proxy/fake-pair.ts';
import { freePort, type Running, start } from './mesh.ts';
import { until } from './until.ts';

const BINARY = process.env['ENVOY_BIN'];
const skip =
  BINARY !== undefined && existsSync(BINARY) ? false : 'no Envoy: set ENVOY_BIN to its binary';

const first = createFakeIssuer('https://one.example.com', 'k1');
const second = createFakeIssuer('https://two.example.com', 'k2');
const forger = createFakeIssuer(first.issuer, 'k1');
const AUDIENCES = ['https://api.example.com'];

let envoy: Running;
let envoyPort = 0;
let pair: FakePair;
const folder = mkdtempSync(join(tmpdir(), 'palisade-jwt-envoy-'));

before(async () => {
  if (skip !== false) return;
  envoyPort = await freePort();
  const path = join(folder, 'envoy.json');
  writeFileSync(path, JSON.stringify(configuration(envoyPort)));
  envoy = start([
    BINARY ?? '',
    '-c',
    path,
    '--base-id',
    String(process.pid),
    '--log-level',
    'error',
  ]);
  pair = await createFakePair({
    application: (_request, response) => response.end('ok'),
    tokens: [fakeTokenRule(first, { audiences: AUDIENCES }), fakeTokenRule(second)],
  });
  const answers = async () => (await viaEnvoy('GET / HTTP/1.1\r\nHost: a\r\n\r\n')) !== 0;
  await until('Envoy answers', answers, { told: envoy.output });
});
after(async () => {
  await pair?.close();
  await envoy?.stop();
  rmSync(folder, { recursive: true });
});

/** The providers and requirement that Istio's translation makes of two jwtRules. */
function configuration(port: number): object {
  const provider = (issuer: typeof first, audiences: readonly string[]) => ({
    issuer: issuer.issuer,
    audiences,
    local_jwks: { inline_string: issuer.jwks },
    payload_in_metadata: issuer.issuer,
  });
  const filters = [
    {
      name: 'envoy.filters.http.jwt_authn',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
        providers: { one: provider(first, AUDIENCES), two: provider(second, []) },
        rules: [
          {
            match: { prefix: '/' },
            requires: {
              requires_any: {
                requirements: [
                  { provider_name: 'one' },
                  { provider_name: 'two' },
                  { allow_missing: {} },
                ],
              },
            },
          },
        ],
      },
    },
    {
      name: 'envoy.filters.http.router',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
      },
    },
  ];
  const manager = {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'in',
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
        },
      ],
    },
    http_filters: filters,
  };
  return {
    static_resources: {
      listeners: [
        {
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [
            {
              filters: [
                { name: 'envoy.filters.network.http_connection_manager', typed_config: manager },
              ],
            },
          ],
        },
      ],
    },
  };
}

async function viaEnvoy(raw: string): Promise<number> {
  const text = await ask(envoyPort, raw).catch(() => '');
  return Number(text.slice(9, 12));
}

const in_ = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const good = (claims: object = {}) => first.token({ aud: 'https://api.example.com', ...claims });
const bearer = (token: string) => [`Authorization: Bearer ${token}`];
const changed = (token: string) =>
  `${token.slice(0, -6)}${token.at(-6) === 'A' ? 'B' : 'A'}${token.slice(-5)}`;

type Case = {
  readonly lines?: readonly string[];
  readonly target?: string;
  /** Envoy's status where ours is 401 on purpose, and why. */
  readonly differs?: readonly [envoy: number, why: string];
};

const NOT_FOR_US = [
  403,
  'a token for somebody else is an invalid one (RFC 6750 section 3.1)',
] as const;

const CASES: Readonly<Record<string, Case>> = {
  'no token': {},
  'a valid one': { lines: bearer(good()) },
  'a valid one of the second issuer': { lines: bearer(second.token()) },
  'changed signature': { lines: bearer(changed(good())) },
  'signed by somebody else': { lines: bearer(forger.token({ aud: AUDIENCES[0] })) },
  'unknown issuer': { lines: bearer(createFakeIssuer('https://evil.example').token()) },
  'no issuer': { lines: bearer(first.token({ iss: undefined, aud: AUDIENCES[0] })) },
  'wrong audience': { lines: bearer(first.token({ aud: 'other' })), differs: NOT_FOR_US },
  'no audience': { lines: bearer(first.token()), differs: NOT_FOR_US },
  'one of several audiences': { lines: bearer(good({ aud: ['x', 'https://api.example.com'] })) },
  'audience with a slash': { lines: bearer(good({ aud: 'https://api.example.com/' })) },
  'audience without scheme': { lines: bearer(good({ aud: 'api.example.com' })) },
  'audience with the other scheme': { lines: bearer(good({ aud: 'http://api.example.com/' })) },
  'expired a moment ago': { lines: bearer(good({ exp: in_(-30) })) },
  expired: { lines: bearer(good({ exp: in_(-120) })) },
  'without an end': { lines: bearer(good({ exp: undefined })) },
  'not valid for a moment': { lines: bearer(good({ nbf: in_(30) })) },
  'not valid yet': { lines: bearer(good({ nbf: in_(120) })) },
  'alg none': { lines: bearer(good().replace(/^[^.]+/, 'eyJhbGciOiJub25lIn0')) },
  'alg HS256': { lines: bearer(good().replace(/^[^.]+/, 'eyJhbGciOiJIUzI1NiJ9')) },
  'unknown key id': {
    lines: bearer(createFakeIssuer(first.issuer, 'zz').token({ aud: AUDIENCES[0] })),
  },
  garbage: { lines: bearer('garbage') },
  'two parts': { lines: bearer('a.b') },
  'basic credentials': { lines: ['Authorization: Basic YTpi'] },
  'the scheme alone': { lines: ['Authorization: Bearer'] },
  'in the query': { target: `/?access_token=${good()}` },
  'a bad one in the query': { target: `/?access_token=${changed(good())}` },
  'the scheme in lower case, a bad token': {
    lines: [`authorization: bearer ${changed(good())}`],
    differs: [200, 'applications read schemes without case (RFC 9110), so this is a token'],
  },
  'one issuer in the header, another in the query': {
    lines: bearer(good()),
    target: `/?access_token=${second.token()}`,
  },
  'one issuer in the header, a bad one of another in the query': {
    lines: bearer(good()),
    target: `/?access_token=${changed(second.token())}`,
  },
  'good in the header, bad in the query': {
    lines: bearer(good()),
    target: `/?access_token=${changed(good())}`,
  },
};

for (const [name, { lines = [], target = '/', differs }] of Object.entries(CASES)) {
  test(name, { skip }, async () => {
    const rest = lines.map((line) => `${line}\r\n`).join('');
    const theirs = await viaEnvoy(`GET ${target} HTTP/1.1\r\nHost: a\r\n${rest}\r\n`);
    const answer = await ask(
      pair.caller.outboundPort,
      `GET http://orders${target} HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n${rest}\r\n`,
    );
    const ours = Number(answer.slice(9, 12));
    if (differs === undefined) assert.equal(ours, theirs);
    else assert.deepEqual([ours, theirs], [401, differs[0]], differs[1]);
  });
}
