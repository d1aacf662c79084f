import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Explanation } from '#policy';
import { type CheckInput, checkCall } from './check.ts';
import {
  idOf,
  meshYaml,
  peerYaml,
  policyYaml,
  resourcesFrom,
  serviceYaml,
  setsFrom,
  TRUST_DOMAIN,
} from './testing/resources.ts';

const WEB_MAY_READ =
  '{selector: {matchLabels: {app: orders}}, rules: [{from: [{source: {principals: ["cluster.local/ns/default/sa/web"]}}], to: [{operation: {methods: [GET]}}]}]}';
const POLICY = policyYaml('default', 'read', WEB_MAY_READ);

function asked(yaml: string, more: Partial<CheckInput> = {}): Explanation {
  const result = checkCall(inputOf(yaml, more));
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

function inputOf(yaml: string, more: Partial<CheckInput>): CheckInput {
  return {
    sets: setsFrom(yaml),
    trustDomain: TRUST_DOMAIN,
    from: idOf('default', 'web'),
    to: 'orders',
    namespace: 'default',
    request: { method: 'GET', path: '/' },
    nowMs: 0,
    ...more,
  };
}

/** Checks the reason of one question; `more` is what differs from web's `GET /` to orders. */
function check(name: string, yaml: string, more: Partial<CheckInput>, reason: string): void {
  test(name, () => {
    assert.equal(asked(yaml, more).decision.reason, reason);
  });
}

check('a file of policies is enough', POLICY, {}, 'allowed_by_policy');
check('another method', POLICY, { request: { method: 'POST', path: '/' } }, 'no_policy_allows');
check('another caller', POLICY, { from: idOf('default', 'api') }, 'no_policy_allows');
check('another service', POLICY, { to: 'payments' }, 'default_deny');
check('another namespace', POLICY, { to: 'shop/orders' }, 'default_deny');
check(
  'labels override the name',
  POLICY,
  { to: 'x', labels: { app: 'orders' } },
  'allowed_by_policy',
);
check('no policy at all', '', {}, 'default_deny');
check('a default given', '', { defaultAction: 'allow' }, 'allowed_by_default');
check('the default of the Mesh', meshYaml('{defaultAction: allow}'), {}, 'allowed_by_default');
check('no identity, and no mode set anywhere', POLICY, { from: undefined }, 'no_policy_allows');
check(
  'no identity where the Mesh is strict',
  meshYaml('{}') + POLICY,
  { from: undefined },
  'peer_unauthenticated',
);
check(
  'no identity where a port is permissive',
  meshYaml('{}') +
    policyYaml('default', 'all', '{rules: [{}]}') +
    peerYaml('default', 'p', '{mtls: {mode: PERMISSIVE}}'),
  { from: undefined },
  'allowed_by_policy',
);
check(
  'an identity counts for nothing where TLS is off',
  POLICY + peerYaml('default', 'p', '{mtls: {mode: DISABLE}}'),
  {},
  'no_policy_allows',
);
check('a TCP connection to an unknown service', POLICY, { request: undefined }, 'no_policy_allows');
check(
  'a request is assumed on a port known to be HTTP',
  serviceYaml('default', 'orders') + POLICY,
  { request: undefined },
  'allowed_by_policy',
);
check(
  'the path is made canonical as the proxy does',
  policyYaml('default', 'p', '{rules: [{to: [{operation: {paths: [/b]}}]}]}'),
  { request: { method: 'GET', path: '/%62?q=1' } },
  'allowed_by_policy',
);
check(
  'source address and port',
  policyYaml(
    'default',
    'p',
    '{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], to: [{operation: {ports: ["81"]}}]}]}',
  ),
  { sourceIp: '10.1.2.3', port: 81 },
  'allowed_by_policy',
);

test('who gave neither method nor Service learns that a connection was judged', () => {
  const { smallestChange } = asked('', { request: undefined });
  assert.match(smallestChange?.sentence ?? '', /a TCP connection was judged/);
  const known = asked(serviceYaml('default', 'orders'), { request: undefined });
  assert.doesNotMatch(known.smallestChange?.sentence ?? '', /TCP/);
});

test('a path that proxies refuse is denied before policy', () => {
  const yaml = policyYaml('default', 'all', '{rules: [{}]}');
  const found = asked(yaml, { request: { method: 'GET', path: '/a/../b' } });
  assert.equal(found.decision.verdict, 'deny');
  assert.equal(found.decision.reason, 'cannot_decide');
  assert.match(
    found.smallestChange?.sentence ?? '',
    /refused before policy: it holds a dot segment/,
  );
});

check(
  'the host is judged without the port of the service',
  policyYaml('default', 'p', '{rules: [{to: [{operation: {hosts: [orders.shop]}}]}]}'),
  { request: { method: 'GET', path: '/', host: 'Orders.shop.:80' } },
  'allowed_by_policy',
);

test('what cannot be asked is an error in words', () => {
  const service = serviceYaml('default', 'orders');
  const cases: readonly (readonly [string, Partial<CheckInput>, RegExp])[] = [
    ['', { to: 'a/b/c' }, /`a\/b\/c` does not name a service/],
    [service, { port: 81 }, /`default\/orders` has no port 81/],
  ];
  for (const [yaml, more, wanted] of cases) {
    const result = checkCall(inputOf(yaml, more));
    assert.match(result.ok ? '' : result.error, wanted);
  }
});

test('the proposed resources are valid and allow the call', () => {
  const policies = [
    '',
    POLICY,
    policyYaml('default', 'd', '{action: DENY, rules: [{to: [{operation: {paths: [/a*]}}]}]}'),
    policyYaml('default', 'd', '{action: DENY, rules: [{}]}') + POLICY,
    policyYaml(
      'default',
      'd',
      '{action: DENY, rules: [{from: [{source: {serviceAccounts: [api, shop/web], notIpBlocks: [10.0.0.0/8]}}]}]}',
    ),
    policyYaml(
      'default',
      'a',
      '{rules: [{to: [{operation: {methods: [GET], paths: ["/a b/{*}"]}}]}]}',
    ),
  ];
  for (const yaml of policies) {
    const question = {
      from: idOf('default', 'api'),
      request: { method: 'PUT', path: '/a%7B/"x"' },
    };
    const { decision, smallestChange } = asked(yaml, question);
    assert.equal(decision.verdict, 'deny');
    assert.ok(smallestChange?.yaml !== undefined, smallestChange?.sentence);
    const changed = resourcesFrom(smallestChange.yaml);
    const names = new Set(changed.map(({ metadata }) => metadata.name));
    const kept = resourcesFrom(yaml).filter(({ metadata }) => !names.has(metadata.name));
    const sets = new Map([['default', { number: 2, hash: '', resources: [...kept, ...changed] }]]);
    assert.equal(asked('', { ...question, sets }).decision.verdict, 'allow', smallestChange.yaml);
  }
});
