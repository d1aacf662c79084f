import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustDomain } from '#identity';
import { parseResources } from '#resource';
import type { AccessRecord } from '#telemetry';
import { reconsider } from './question.ts';

const POLICY = `
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders}
spec: {ports: [{port: 80, protocol: http}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all}
spec: {rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask}
spec:
  action: CUSTOM
  provider: {name: authz}
  rules: [{to: [{operation: {paths: [/asked]}}]}]
`;

const RECORD = {
  time: '2026-01-01T00:00:00.000Z',
  kind: 'http',
  verdict: 'deny',
  reason: 'cannot_decide',
  policy: 'default/ask',
  policy_version: 'default@1',
  'source.id': 'spiffe://cluster.local/ns/default/sa/web',
  'source.ip': '127.0.0.1',
  'destination.service': 'orders',
  'destination.namespace': 'default',
  'destination.port': 80,
  'connection.sni': null,
  method: 'GET',
  host: 'orders',
  path: '/asked',
};

function check(differs: Partial<AccessRecord>, want: readonly unknown[]): void {
  const { resources, diagnostics } = parseResources([{ file: 'a.yaml', text: POLICY }], {
    defaultNamespace: 'default',
  });
  assert.deepEqual(diagnostics, []);
  const set = { number: 1, hash: '', resources: resources.map(({ resource }) => resource) };
  const sets = new Map([['default', set]]);
  const view = { of: () => set, now: () => sets, at: () => ({ sets, exact: true }) };
  const domain = parseTrustDomain('cluster.local');
  assert.ok(domain.ok);
  const record = { ...RECORD, ...differs } as unknown as AccessRecord;
  const found = reconsider(record, view, domain.value, 0);
  assert.ok(found.ok, JSON.stringify(found));
  const { decision, smallestChange } = found.value.explanation;
  const sentence = smallestChange?.sentence ?? '';
  assert.deepEqual([decision.verdict, decision.reason, decision.policy, sentence], want);
}

test('a call that a provider kept back is not explained as one that policy allows', () => {
  check({}, [
    'deny',
    'cannot_decide',
    'default/ask',
    'no policy can help: the provider that `default/ask` asks gave no answer; see whether it runs and can be reached',
  ]);
  check({ reason: 'policy_denied' }, [
    'deny',
    'policy_denied',
    'default/ask',
    'no policy of this mesh can help: the provider that `default/ask` asks said no, and knows why',
  ]);
  // By another policy, or none of the provider's any more: what the policies say counts.
  const allowed = ['allow', 'allowed_by_policy', 'default/all', ''];
  check({ policy: 'default/other' }, allowed);
  check({ path: '/else' }, allowed);
  check({ verdict: 'allow', reason: null }, allowed);
});
