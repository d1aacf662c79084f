import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from './explain.ts';
import type { SmallestChange } from './explanation.ts';
import type { PolicyIr } from './ir.ts';
import type { Question } from './question.ts';
import { connection, policy, request, rule } from './testing/policies.ts';

const OPTIONS = {
  defaultAction: 'deny',
  workload: { namespace: 'default', service: 'orders' },
} as const;
const WEB = 'cluster.local/ns/default/sa/web';
const API = 'cluster.local/ns/default/sa/api';
const allowWeb = policy('web', 'ALLOW', [
  rule({ principal: [WEB] }, { method: ['GET'], path: ['/orders', '/orders/*'] }),
]);

function change(policies: readonly PolicyIr[], question: Question): SmallestChange | undefined {
  return explain(policies, OPTIONS, question).smallestChange;
}

test('each failing condition is a sentence', () => {
  const { considered } = explain([allowWeb], OPTIONS, request('api', 'POST /admin'));
  assert.deepEqual(considered[0]?.rules[0]?.failed, [
    `principal \`${API}\` is not one of \`${WEB}\``,
    'method `POST` is not one of `GET`',
    'path `/admin` is not one of `/orders`, `/orders/*`',
  ]);
});

test('an excluded value and a missing identity have sentences of their own', () => {
  const policies = [
    policy('p', 'ALLOW', [rule({ principal: ['*'] }), rule(undefined, { '!path': ['/x*'] })]),
  ];
  const { considered } = explain(policies, OPTIONS, request(undefined, 'GET /x'));
  assert.deepEqual(
    considered[0]?.rules.map((found) => found.failed),
    [
      ['the caller has no identity, and principal must be one of `*`'],
      ['path `/x` is one of the excluded `/x*`'],
    ],
  );
});

test('a rule with HTTP fields says that a TCP connection has none', () => {
  const { considered } = explain([allowWeb], OPTIONS, connection('web'));
  assert.match(considered[0]?.rules[0]?.failed[0] ?? '', /TCP connection has none/);
});

test('without any policy, one for just this call is proposed', () => {
  assert.deepEqual(change([], request('web', 'GET /orders')), {
    kind: 'add_policy',
    sentence:
      'add a policy that lets `spiffe://cluster.local/ns/default/sa/web` call `GET /orders`',
    policy: 'default/allow-web-to-orders',
    yaml: `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: allow-web-to-orders
  namespace: default
spec:
  selector:
    matchLabels:
      app: orders
  action: ALLOW
  rules:
    - from:
        - source:
            principals: ["cluster.local/ns/default/sa/web"]
      to:
        - operation:
            methods: ["GET"]
            paths: ["/orders"]
`,
    diff: change([], request('web', 'GET /orders'))?.diff ?? '',
  });
  const lines = change([], request('web', 'GET /orders'))?.diff?.split('\n') ?? [];
  assert.equal(lines[0], '+apiVersion: security.istio.io/v1');
  assert.ok(lines.every((line) => line.startsWith('+')));
});

test('a rule that lacks one value is extended by it', () => {
  const found = change([allowWeb], request('web', 'POST /orders'));
  assert.equal(found?.kind, 'extend_rule');
  assert.equal(found.policy, 'default/web');
  assert.equal(found.sentence, 'add method `POST` to rule 0 of `default/web`');
  assert.match(found.diff ?? '', /^-\s+methods: \["GET"\]\n\+\s+methods: \["GET", "POST"\]$/m);
  assert.match(found.yaml ?? '', /methods: \["GET", "POST"\]/);
});

test('extending a rule of several callers says whom else it lets', () => {
  const shared = policy('s', 'ALLOW', [rule({ principal: [WEB, API] }, { method: ['GET'] })]);
  const found = change([shared], request('web', 'POST /orders'));
  assert.equal(
    found?.sentence,
    'add method `POST` to rule 0 of `default/s`, which allows it to all callers of that rule',
  );
});

test('a rule that lacks two values is left alone and named', () => {
  const found = change([allowWeb], request('api', 'POST /orders'));
  assert.equal(found?.kind, 'add_policy');
  assert.match(found.sentence, /the nearest is rule 0 of `default\/web`: principal .*; method /);
});

test('a proposed name does not replace a policy', () => {
  const taken = policy('allow-web-to-orders', 'DENY', [rule({ principal: ['nobody'] })]);
  assert.equal(change([taken], request('web', 'GET /'))?.policy, 'default/allow-web-to-orders-2');
});

test('a DENY rule for many is narrowed by the caller', () => {
  const deny = policy('d', 'DENY', [rule(undefined, { path: ['/orders*'] })]);
  const found = change([allowWeb, deny], request('web', 'GET /orders'));
  assert.equal(found?.kind, 'narrow_deny');
  assert.match(found.yaml ?? '', /notPrincipals: \["cluster.local\/ns\/default\/sa\/web"\]/);
});

test('a DENY rule that names the caller among others loses it', () => {
  const deny = policy('d', 'DENY', [rule({ principal: [WEB, API] })]);
  const found = change([allowWeb, deny], request('web', 'GET /orders'));
  assert.match(found?.sentence ?? '', /^take .* out of rule 0 of `default\/d`$/);
  assert.match(found?.yaml ?? '', /principals: \["cluster\.local\/ns\/default\/sa\/api"\]/);
});

test('a DENY rule that names just this call is deleted', () => {
  const deny = policy('d', 'DENY', [rule({ principal: [WEB] }, { path: ['/orders'] })]);
  const found = change([allowWeb, deny], request('web', 'GET /orders'));
  assert.equal(found?.kind, 'narrow_deny');
  assert.match(found.sentence, /^delete `default\/d`/);
  assert.equal(found.yaml, undefined);
});

test('narrowing a DENY is followed by an ALLOW where that lacks too', () => {
  const deny = policy('d', 'DENY', [rule()]);
  const found = change([deny], request('web', 'GET /orders'));
  assert.equal(found?.kind, 'narrow_deny');
  assert.match(found.sentence, /, and then add a policy that lets/);
  assert.equal(found.yaml?.split('---\n').length, 2);
});

test('a caller without identity gets no policy proposed', () => {
  const found = change([], request(undefined, 'GET /'));
  assert.equal(found?.kind, 'none');
  assert.equal(found.yaml, undefined);
});

test('an allowed call needs no change', () => {
  assert.equal(change([allowWeb], request('web', 'GET /orders')), undefined);
});
