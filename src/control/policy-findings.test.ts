import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustDomain } from '#identity';
import { parseResources, type Resource } from '#resource';
import { policyFindings } from './policy-findings.ts';

const HEAD = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: orders, namespace: shop}
`;
const ALLOW = `${HEAD}spec:
  selector: {matchLabels: {app: orders}}
  rules:
`;
const WEB = '    - from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]\n';
const SERVICE = `apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders, namespace: shop}
spec: {ports: [{port: 80, protocol: http}]}
`;
const WEB_SERVICE = SERVICE.replace('orders', 'web');

const trustDomain = parseTrustDomain('cluster.local');

function find(text: string, live: readonly Resource[] = liveOf(SERVICE, WEB_SERVICE)): string[] {
  assert.ok(trustDomain.ok);
  const found = policyFindings({
    namespace: 'shop',
    sources: [
      { key: 'AuthorizationPolicy/orders', text },
      { key: 'Service/orders', text: SERVICE },
    ],
    live,
    trustDomain: trustDomain.value,
  });
  return found.map(({ key, line, code }) => `${key}:${line} ${code}`);
}

function liveOf(...texts: readonly string[]): readonly Resource[] {
  assert.ok(trustDomain.ok);
  const options = { defaultNamespace: 'shop', trustDomain: trustDomain.value };
  const files = texts.map((text, index) => ({ file: String(index), text }));
  return parseResources(files, options).resources.map(({ resource }) => resource);
}

const wide = (line: number) => `AuthorizationPolicy/orders:${line} wide_rule`;
const cases: { name: string; text: string; expected: string[] }[] = [
  { name: 'a caller is named', text: ALLOW + WEB, expected: [] },
  {
    name: 'the second of two rules names nobody',
    text: `${ALLOW}${WEB}    # anybody reads\n    - to: [{operation: {methods: [GET]}}]\n`,
    expected: [wide(9)],
  },
  { name: 'an empty rule', text: `${ALLOW}    - {}\n`, expected: [wide(7)] },
  {
    name: 'a condition instead of a caller',
    text: `${ALLOW}    - when: [{key: source.namespace, values: [shop]}]\n`,
    expected: [],
  },
  {
    name: 'a DENY of everybody is no way in',
    text: `${ALLOW.replace('rules:', 'action: DENY\n  rules:')}    - to: [{operation: {methods: [DELETE]}}]\n`,
    expected: [],
  },
  {
    name: 'in dry-run nobody comes in',
    text: `${ALLOW.replace('shop}', "shop, annotations: {istio.io/dry-run: 'true'}}")}    - {}\n`,
    expected: [],
  },
  {
    name: 'a wildcard beyond the namespace, as `validate` says',
    text: `${ALLOW}    - from: [{source: {principals: [cluster.local/ns/*]}}]\n`,
    expected: ['AuthorizationPolicy/orders:7 wide_wildcard'],
  },
  {
    name: 'a caller that nobody can be',
    text: `${ALLOW}${WEB.replace('/web', '/wbe')}`,
    expected: ['AuthorizationPolicy/orders:7 unknown_principal'],
  },
  { name: 'a text that is no policy', text: 'kind: [', expected: [] },
];

for (const { name, text, expected } of cases) {
  test(`findings of a policy in force: ${name}`, () => {
    assert.deepEqual(find(text), expected);
  });
}

test('what else is in force counts: a rule that a denial covers does nothing', () => {
  const denial = `${HEAD.replace('orders', 'nobody')}spec:
  selector: {matchLabels: {app: orders}}
  action: DENY
  rules: [{}]
`;
  const found = find(ALLOW + WEB, liveOf(SERVICE, WEB_SERVICE, denial));
  assert.equal(found.length, 1);
  assert.match(found[0] ?? '', /^AuthorizationPolicy\/orders:7 /);
  assert.deepEqual(find(ALLOW + WEB, liveOf(SERVICE, WEB_SERVICE)), []);
});
