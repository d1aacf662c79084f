import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTrustDomain } from '#identity';
import { createCommit, createPolicyKey, loadSigner, type PolicySet, type TrustRoot } from '#trust';
import { type AdmissionContext, admit } from './admit.ts';
import { loadPolicySets } from './policy-sets.ts';
import { createResourceView } from './resource-sets.ts';
import { createMemoryStore } from './store-memory.ts';

const NOW = Date.parse('2026-06-01T00:00:00.000Z');
const DAY_MS = 24 * 3_600_000;

const key = createPolicyKey();
const signer = loadSigner(key.privateKeyPem);
assert.ok(signer.ok);
const trustDomain = parseTrustDomain('cluster.local');
assert.ok(trustDomain.ok);
const trustRoot: TrustRoot = {
  version: 1,
  trustDomain: 'cluster.local',
  x509Roots: [],
  policyKeys: [{ keyId: key.keyId, publicKey: key.publicKey, name: 'ann', namespaces: ['*'] }],
  threshold: 1,
  issuanceLogKey: createPolicyKey().publicKey,
  issuedAt: '2026-01-01T00:00:00.000Z',
};

function contextOf(store = createMemoryStore(), nowMs = NOW) {
  const sets = loadPolicySets({ store, trustRoot, nowMs, onBroken: () => {} });
  const resources = createResourceView(sets, store);
  const domain = trustDomain.ok ? trustDomain.value : undefined;
  assert.ok(domain);
  const clock = () => nowMs;
  return {
    store,
    sets,
    resources,
    trustRoot: () => trustRoot,
    trustDomain: domain,
    clock,
  } satisfies AdmissionContext;
}

function service(name: string, namespace = 'default') {
  const ports = [{ name: 'http', port: 80, protocol: 'http' }];
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { ports },
  };
}

function request(options: {
  readonly resources: Readonly<Record<string, unknown>>;
  readonly parent?: PolicySet['head'] | undefined;
  readonly changes?: readonly { key: string; resource: unknown }[];
  readonly nowMs?: number;
}) {
  const { resources, parent, nowMs = NOW } = options;
  const { envelope } = createCommit({
    trustDomain: 'cluster.local',
    namespace: 'default',
    parent,
    resources: new Map(Object.entries(resources)),
    author: 'ann',
    nowMs,
    ttlMs: DAY_MS,
    signer: signer.ok ? signer.value : (undefined as never),
  });
  return {
    namespace: 'default',
    envelope,
    changes:
      options.changes ??
      Object.entries(resources).map(([name, resource]) => ({ key: name, resource })),
    expectedParent: parent?.hash ?? null,
    from: 'ann',
    dryRun: false,
  };
}

test('a disk that does not take the commit leaves everything as it was', () => {
  const context = contextOf();
  const first = request({ resources: { 'Service/a': service('a') } });
  context.store.failNextWrite('database or disk is full');
  const refused = admit(context, first);
  assert.deepEqual(refused.ok ? 'stored' : refused.error, {
    kind: 'storage_failed',
    message: 'database or disk is full',
  });
  assert.deepEqual([context.sets.current('default'), context.store.heads()], [undefined, []]);
  assert.ok(admit(context, first).ok);
});

test('a commit says what it did to each resource, and a replay is refused', () => {
  const context = contextOf();
  const first = request({ resources: { 'Service/a': service('a'), 'Service/b': service('b') } });
  assert.ok(admit(context, first).ok);
  const parent = context.sets.current('default')?.head;
  assert.ok(parent);
  const second = request({
    resources: { 'Service/a': service('a'), 'Service/c': service('c') },
    parent,
    changes: [
      { key: 'Service/b', resource: null },
      { key: 'Service/c', resource: service('c') },
      { key: 'Service/never', resource: null },
    ],
  });
  const admitted = admit(context, second);
  assert.deepEqual(admitted.ok ? admitted.value.changes : admitted.error, [
    { key: 'Service/b', change: 'deleted' },
    { key: 'Service/c', change: 'added' },
  ]);
  const again = admit(context, {
    ...first,
    expectedParent: context.sets.current('default')?.head.hash ?? '',
  });
  assert.equal(
    again.ok || again.error.kind !== 'untrusted' ? '' : again.error.error.code,
    'version_rollback',
  );
  const same = admit(context, {
    ...second,
    expectedParent: context.sets.current('default')?.head.hash ?? '',
  });
  assert.equal(same.ok || same.error.kind !== 'untrusted' ? '' : same.error.error.code, 'fork');
});

test('a resource that would change the trust domain, or cannot be enforced, is refused with its key', () => {
  const context = contextOf();
  const odd = {
    ...service('a'),
    spec: { ports: [{ name: 'http', port: 80, protocol: 'carrier-pigeon' }] },
  };
  const refused = admit(context, request({ resources: { 'Service/a': odd } }));
  assert.ok(!refused.ok && refused.error.kind === 'invalid');
  assert.deepEqual(
    refused.error.problems.map(({ key: at, code }) => [at, code]),
    [['Service/a', 'invalid_resource']],
  );
});

test('a set that expired while nobody looked can be renewed by its author', () => {
  const context = contextOf();
  const resources = { 'Service/a': service('a') };
  assert.ok(admit(context, request({ resources })).ok);
  const later = NOW + 2 * DAY_MS;
  const restarted = contextOf(context.store, later);
  const parent = restarted.sets.current('default')?.head;
  assert.equal(parent?.number, 1);
  const renewed = admit(restarted, request({ resources, parent, changes: [], nowMs: later }));
  assert.deepEqual(renewed.ok ? [renewed.value.number, renewed.value.changes] : renewed.error, [
    2,
    [],
  ]);
});
