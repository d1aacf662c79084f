import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuthorizationPolicyResource } from '#resource';
import { compilePolicies } from './authorization-policy.ts';
import { TRUST_DOMAIN } from './testing/resources.ts';

const workload = { namespace: 'default', service: 'orders', labels: { app: 'orders' } };

function policy(name: string, source: object): AuthorizationPolicyResource {
  const rules = [{ from: [{ source }, { source }], to: [{ operation: { methods: ['GET'] } }] }];
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'default' },
    spec: { action: 'ALLOW', rules },
  } as AuthorizationPolicyResource;
}

function compile(...policies: AuthorizationPolicyResource[]) {
  return compilePolicies({ policies, workload, trustDomain: TRUST_DOMAIN, mesh: undefined });
}

test('equal conditions of many rules are one, those of one rule’s alternatives are not', () => {
  const compiled = compile(policy('a', { namespaces: ['x'] }), policy('b', { namespaces: ['x'] }));
  assert.ok(compiled.ok);
  const [a, b] = compiled.value.map(({ rules }) => rules[0]);
  assert.equal(a?.sources, b?.sources);
  assert.deepEqual(a?.sources[0], a?.sources[1]);
  assert.notEqual(a?.sources[0]?.[0], a?.sources[1]?.[0]);
});

test('attack: a condition that cannot be read fails every policy that has it, not only the first', () => {
  const first = policy('a', { principals: ['cluster.local/ns/x/sa/y'], ipBlocks: ['nowhere'] });
  const second = policy('b', { principals: ['cluster.local/ns/x/sa/y'], ipBlocks: ['nowhere'] });
  const both = compile(first, second);
  assert.ok(!both.ok);
  assert.equal(both.error.filter((problem) => problem.includes('default/b')).length, 2);
  // What was remembered of the second must not be half of it.
  assert.ok(!compile(second).ok);
});
