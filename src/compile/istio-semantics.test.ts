import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '#identity';
import type { CheckedRequest, CheckInput } from './check.ts';
import { checkCall } from './check.ts';
import { meshYaml, policyYaml, setsFrom, TRUST_DOMAIN } from './testing/resources.ts';

// What Istio and Envoy were seen to do where their documentation misleads; one line a group.

type Call = Partial<Omit<CheckInput, 'from' | 'request'>> & {
  /** A SPIFFE ID without its scheme; null is plaintext. */
  readonly from?: string | null;
  readonly request?: Partial<CheckedRequest>;
};

/** Whether one ALLOW rule of `default` lets a call through; `more` is YAML of further resources. */
function allows(rule: string, call: Call = {}, more = ''): boolean {
  const { from = 'cluster.local/ns/default/sa/web', request, ...rest } = call;
  const id = from === null ? undefined : parseSpiffeId(`spiffe://${from}`);
  if (id?.ok === false) throw new Error(id.error);
  const found = checkCall({
    sets: setsFrom(`${policyYaml('default', 'p', `{rules: [${rule}]}`)}${more}`),
    trustDomain: TRUST_DOMAIN,
    from: id?.value,
    to: 'orders',
    namespace: 'default',
    request: { method: 'GET', path: '/', ...request },
    nowMs: 0,
    ...rest,
  });
  assert.ok(found.ok, JSON.stringify(found));
  return found.value.decision.verdict === 'allow';
}

function check(name: string, cases: readonly (readonly [string, Call, boolean])[]): void {
  test(name, () => {
    for (const [rule, call, wanted] of cases) {
      assert.equal(allows(rule, call), wanted, `${rule} ${JSON.stringify(call)}`);
    }
  });
}

const from = (source: string): string => `{from: [{source: {${source}}}]}`;
const to = (operation: string): string => `{to: [{operation: {${operation}}}]}`;
const when = (key: string, rest: string): string => `{when: [{key: "${key}", ${rest}}]}`;
const path = (text: string): Call => ({ request: { path: text } });
const claims = (payload: Readonly<Record<string, unknown>>): Call => ({
  request: { claims: payload },
});
const headers = (lines: CheckedRequest['headers']): Call => ({ request: { headers: lines } });

check('absence: negations match what is not there', [
  [from('notPrincipals: ["*"]'), { from: null }, true],
  [from('notNamespaces: [default]'), { from: null }, true],
  [from('notRequestPrincipals: ["*"]'), {}, true],
  [when('request.headers[x]', 'notValues: ["*"]'), {}, true],
  [from('principals: ["*"]'), { from: null }, false],
]);

check('wildcards work at one end only, and any other star is literal', [
  [to('paths: ["*x*"]'), path('/ax'), false],
  [to('paths: ["*x*"]'), path('/ax*'), true],
  [to('paths: ["/a/**"]'), path('/a/b'), false],
  [to('paths: ["/a/**"]'), path('/a/*b'), true],
]);

check('namespaces: a star anywhere, across slashes', [
  [from('namespaces: ["*nt"]'), { from: 'cluster.local/ns/web/sa/front/v2' }, true],
  [from('namespaces: ["w*b"]'), { from: 'cluster.local/ns/web/sa/x' }, true],
  [from('namespaces: [we]'), { from: 'cluster.local/ns/web/sa/x' }, false],
]);

check('a star matches an empty header, not an absent one', [
  [when('request.headers[x]', 'values: ["*"]'), headers({ x: '' }), true],
  [when('request.headers[x]', 'values: ["*"]'), {}, false],
]);

check('repeated headers are matched line by line, and no line may be excluded', [
  [when('request.headers[x]', 'values: [b]'), headers({ X: ['a', 'b'] }), true],
  [when('request.headers[x]', 'values: ["a,b"]'), headers({ x: ['a', 'b'] }), false],
  [when('request.headers[x]', 'notValues: [b]'), headers({ x: ['a', 'b'] }), false],
]);

check('hosts ignore case, request.headers[host] does not, other ports stay', [
  [to('hosts: [Orders.Example]'), { request: { host: 'orders.EXAMPLE' } }, true],
  [
    when('request.headers[host]', 'values: [orders.example]'),
    { request: { host: 'Orders.example' } },
    false,
  ],
  [to('hosts: [api.example]'), { request: { host: 'api.example:8080' } }, false],
  [to('hosts: [api.example]'), { request: { host: 'api.example.:80' } }, true],
]);

check('paths: without query, unreserved escapes decoded, some characters escaped', [
  [to('paths: ["/a"]'), path('/a?b=/c'), true],
  [to('paths: ["/a"]'), path('/%61'), true],
  [to('paths: ["/%7Cx"]'), path('/|x'), true],
  [to('paths: ["/|x"]'), path('/|x'), false],
  // Refused before policy, which is stricter: no policy can allow them.
  [to('paths: ["*"]'), path('/a//b'), false],
  [to('paths: ["*"]'), path('/a%2Fb'), false],
  [to('paths: ["*"]'), path('/..;x/'), false],
]);

check('templates', [
  [to('paths: ["/a/{*}"]'), path('/a/'), false],
  [to('paths: ["/a/{*}"]'), path('/a/*x'), true],
  [to('paths: ["/a/{**}"]'), path('/a/'), true],
  [to('paths: ["/a/{**}"]'), path('/a'), false],
  [to('paths: ["/a/{**}/z"]'), path('/a/z'), false],
  [to('paths: ["/a/{*}"]'), path('/a/[1]'), false],
]);

test('identities: cluster.local is the own domain, aliases need all five parts', () => {
  const aliases = meshYaml(
    '{trustDomainAliases: [old.example], peerAuthentication: {mode: PERMISSIVE}}',
  );
  const old: Call = { from: 'old.example/ns/web/sa/front' };
  assert.equal(allows(from('principals: ["cluster.local/ns/web/sa/front"]'), old, aliases), true);
  assert.equal(allows(from('principals: ["cluster.local/ns/web/sa/front"]'), old), false);
  assert.equal(allows(from('principals: ["cluster.local/ns/web/*"]'), old, aliases), false);
});

check('a bare service account is one of its own namespace', [
  [from('serviceAccounts: [web]'), { from: 'cluster.local/ns/default/sa/web' }, true],
  [from('serviceAccounts: [web]'), { from: 'cluster.local/ns/shop/sa/web' }, false],
]);

const ALICE = { iss: 'https://id.example', sub: 'alice' };

check('request principals split at the last slash, and a star needs both halves', [
  [from('requestPrincipals: ["https://id.example/alice"]'), claims(ALICE), true],
  [from('requestPrincipals: ["https://id.*"]'), claims(ALICE), false],
  [from('requestPrincipals: ["*"]'), claims(ALICE), true],
  [from('requestPrincipals: ["*"]'), claims({ iss: 'https://id.example' }), false],
  [from('requestPrincipals: ["*"]'), {}, false],
]);

check('claims are text or lists of text; scope and permission are split on spaces', [
  [when('request.auth.claims[scope]', 'values: [read]'), claims({ scope: 'read write' }), true],
  [when('request.auth.claims[permission]', 'values: [b]'), claims({ permission: 'a b' }), true],
  [when('request.auth.claims[other]', 'values: [a]'), claims({ other: 'a b' }), false],
  [when('request.auth.claims[n]', 'values: ["7"]'), claims({ n: 7 }), false],
  [when('request.auth.claims[a][b]', 'values: [x]'), claims({ a: { b: ['y', 'x'] } }), true],
  [when('request.auth.audiences', 'values: [orders]'), claims({ aud: ['web', 'orders'] }), true],
  [when('request.auth.presenter', 'values: [app]'), claims({ azp: 'app' }), true],
  [when('request.auth.claims[constructor][name]', 'values: ["*"]'), claims({}), false],
]);

test('addresses: source.ip is the peer, remote.ip the last entry but the trusted hops', () => {
  const call: Call = {
    sourceIp: '127.0.0.1',
    ...headers({ 'x-forwarded-for': '10.0.0.7, 10.9.9.9' }),
  };
  const hops = meshYaml('{numTrustedProxies: 1}');
  assert.equal(allows(from('ipBlocks: [127.0.0.1]'), call), true);
  assert.equal(allows(from('remoteIpBlocks: [10.9.9.9]'), call), true);
  assert.equal(allows(from('remoteIpBlocks: [10.0.0.7]'), call), false);
  assert.equal(allows(from('remoteIpBlocks: [10.0.0.7]'), call, hops), true);
  assert.equal(allows(from('remoteIpBlocks: [127.0.0.1]'), { sourceIp: '127.0.0.1' }), true);
});

test('combination: namespaces unite, a trial alone closes nothing, an audit changes nothing', () => {
  const root = policyYaml(
    'palisade-system',
    'r',
    '{rules: [{from: [{source: {serviceAccounts: [default/web]}}]}]}',
  );
  assert.equal(allows(from('serviceAccounts: [api]'), {}, root), true);
  const decided = (yaml: string) => {
    const found = checkCall({
      sets: setsFrom(yaml),
      trustDomain: TRUST_DOMAIN,
      from: undefined,
      to: 'orders',
      namespace: 'default',
      request: { method: 'GET', path: '/' },
      nowMs: 0,
      defaultAction: 'allow',
    });
    assert.ok(found.ok);
    return found.value.decision;
  };
  const trial = policyYaml('default', 't', '{rules: []}').replace(
    'name: t',
    'name: t, annotations: {istio.io/dry-run: "true"}',
  );
  assert.equal(decided(trial).verdict, 'allow');
  const audit = decided(policyYaml('default', 'a', '{action: AUDIT, rules: [{}]}'));
  assert.deepEqual([audit.verdict, audit.audit], ['allow', 'default/a']);
});
