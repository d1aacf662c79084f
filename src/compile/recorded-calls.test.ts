import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustDomain } from '#identity';
import { parseResources } from '#resource';
import type { ResourceSets } from './input.ts';
import { CallGroups, judgeRecorded } from './recorded-calls.ts';

const WEB = 'spiffe://cluster.local/ns/shop/sa/web';

function setsOf(methods: string): ResourceSets {
  const trustDomain = parseTrustDomain('cluster.local');
  assert.ok(trustDomain.ok);
  const text = `apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders, namespace: shop}
spec: {ports: [{port: 80, protocol: http}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: orders, namespace: shop}
spec:
  rules:
    - from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]
      to: [{operation: {methods: [${methods}]}}]
`;
  const options = { defaultNamespace: 'shop', trustDomain: trustDomain.value };
  const { resources } = parseResources([{ file: 'shop.yaml', text }], options);
  const set = { number: 1, hash: '', resources: resources.map(({ resource }) => resource) };
  return new Map([['shop', set]]);
}

function record(over: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return {
    time: '2026-03-02T10:00:00.000Z',
    kind: 'http',
    reporter: 'destination',
    'source.id': WEB,
    'destination.service': 'orders',
    'destination.namespace': 'shop',
    'destination.port': 80,
    method: 'GET',
    path: '/orders',
    host: 'orders',
    verdict: 'allow',
    ...over,
  };
}

function changes(
  records: readonly Readonly<Record<string, unknown>>[],
  [was, is]: readonly [string, string],
): readonly string[] {
  const groups = new CallGroups();
  for (const one of records) groups.add(one);
  const trustDomain = parseTrustDomain('cluster.local');
  assert.ok(trustDomain.ok);
  const sets = { before: setsOf(was), after: setsOf(is), trustDomain: trustDomain.value };
  return judgeRecorded(groups.all(), sets).map(
    ({ caller, service, method, path, count, before, after }) =>
      `${count} ${caller.split('/').at(-1)} ${service} ${method} ${path} ${before.verdict}>${after.verdict}`,
  );
}

test('calls that are alike are one group, those that change come by their count', () => {
  const records = [
    record({}),
    record({ time: '2026-03-02T10:00:01.000Z' }),
    record({ method: 'POST' }),
    record({ method: 'HEAD', path: '/orders/1' }),
  ];
  assert.deepEqual(changes(records, ['GET, POST, HEAD', 'POST']), [
    '2 web shop/orders GET /orders allow>deny',
    '1 web shop/orders HEAD /orders/1 allow>deny',
  ]);
  assert.deepEqual(changes(records, ['POST', 'POST, HEAD']), [
    '1 web shop/orders HEAD /orders/1 deny>allow',
  ]);
  assert.deepEqual(changes(records, ['POST', 'POST']), []);
});

test('what is no evidence is left out: the caller’s own record, and a request that nobody could read', () => {
  const records = [record({ reporter: 'source' }), record({ method: null, path: null })];
  assert.deepEqual(changes(records, ['GET', 'POST']), []);
});

test('a caller without identity is judged as one, not as whoever was named before it', () => {
  const records = [record({ 'source.id': null, method: 'POST' }), record({ method: 'POST' })];
  assert.deepEqual(changes(records, ['GET', 'POST']), [
    '1 web shop/orders POST /orders deny>allow',
  ]);
});
