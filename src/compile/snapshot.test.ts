import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '#policy';
import type { Resource, ServiceResource } from '#resource';
import { findUpstream, type Snapshot } from '#snapshot';
import { compileSnapshot, type SnapshotInput } from './snapshot.ts';
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

function inputOf(yaml: string, more: Partial<SnapshotInput> = {}): SnapshotInput {
  return {
    workload: { namespace: 'default', service: 'orders', id: idOf('default', 'orders') },
    trustDomain: TRUST_DOMAIN,
    sets: setsFrom(yaml),
    lookups: [],
    appPort: undefined,
    ...more,
  };
}

function compiled(yaml: string, more: Partial<SnapshotInput> = {}): Snapshot {
  const result = compileSnapshot(inputOf(yaml, more));
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

function allows(snapshot: Snapshot, account: string): boolean {
  const decision = decide(snapshot.program, {
    source: { id: idOf('default', account), ip: '127.0.0.1' },
    connection: { tls: true, sni: undefined },
    request: { method: 'GET', host: 'orders', path: '/' },
    destination: { port: 80 },
    nowMs: 0,
  });
  return decision.verdict === 'allow';
}

const ANYONE = '{action: ALLOW, rules: [{}]}';

test('without any resource everything is denied, with mutual TLS, for 72 hours and more', () => {
  const snapshot = compiled('');
  assert.equal(snapshot.defaultAction, 'deny');
  assert.deepEqual(snapshot.inbound, []);
  assert.equal(snapshot.staleness.budgetMs, 72 * 3_600_000);
  assert.equal(snapshot.staleness.then, 'enforce');
  assert.equal(allows(snapshot, 'web'), false);
});

test('the Mesh sets default action and staleness', () => {
  const snapshot = compiled(
    meshYaml('{defaultAction: allow, staleness: {budget: 1h, then: deny}}'),
  );
  assert.equal(allows(snapshot, 'web'), true);
  assert.equal(snapshot.staleness.budgetMs, 3_600_000);
  assert.equal(snapshot.staleness.then, 'deny');
});

test('the version names each set', () => {
  const sets = new Map([
    ['palisade-system', { number: 3, hash: 'b', resources: [] }],
    ['default', { number: 12, hash: 'a', resources: [] }],
  ]);
  const snapshot = compiled('', { sets });
  assert.equal(snapshot.version, 'default@12 palisade-system@3');
  assert.deepEqual(snapshot.versions['default'], { number: 12, hash: 'a' });
});

test('policies are selected by label, namespace, root namespace and target', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['default', '{rules: [{}]}', true],
    ['default', '{selector: {matchLabels: {app: orders}}, rules: [{}]}', true],
    ['default', '{selector: {matchLabels: {tier: back, app: orders}}, rules: [{}]}', true],
    ['default', '{selector: {matchLabels: {app: web}}, rules: [{}]}', false],
    ['default', '{selector: {matchLabels: {app: orders, tier: front}}, rules: [{}]}', false],
    ['shop', '{rules: [{}]}', false],
    ['palisade-system', '{rules: [{}]}', true],
    ['palisade-system', '{selector: {matchLabels: {app: orders}}, rules: [{}]}', true],
    ['palisade-system', '{selector: {matchLabels: {app: web}}, rules: [{}]}', false],
    ['default', '{targetRefs: [{kind: Service, name: orders}], rules: [{}]}', true],
    ['default', '{targetRefs: [{kind: Service, name: web}], rules: [{}]}', false],
    ['palisade-system', '{targetRefs: [{kind: Service, name: orders}], rules: [{}]}', false],
  ];
  for (const [namespace, spec, wanted] of cases) {
    const yaml = serviceYaml('default', 'orders', '  labels: {tier: back}');
    const snapshot = compiled(yaml + policyYaml(namespace, 'p', spec));
    assert.equal(allows(snapshot, 'web'), wanted, `${namespace} ${spec}`);
  }
});

test('inbound ports carry mode and application port', () => {
  const yaml =
    `
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders, namespace: default}
spec:
  ports:
    - {name: web, port: 80, protocol: http, proxyProtocol: {from: [10.0.0.0/8]}}
    - {name: admin, port: 81, targetPort: 9000}
---
` +
    peerYaml(
      'default',
      'p',
      '{selector: {matchLabels: {app: orders}}, portLevelMtls: {"81": {mode: DISABLE}}}',
    );
  assert.deepEqual(compiled(yaml, { appPort: 3000 }).inbound, [
    {
      port: 80,
      name: 'web',
      protocol: 'http',
      targetPort: 3000,
      proxyProtocolFrom: [{ bytes: Uint8Array.of(10, 0, 0, 0), bits: 8 }],
      peerMode: 'STRICT',
    },
    {
      port: 81,
      name: 'admin',
      protocol: 'tcp',
      targetPort: 9000,
      proxyProtocolFrom: [],
      peerMode: 'DISABLE',
    },
  ]);
});

test('paths: the Service says, else the Mesh, else STRICT; callers know the called one’s way', () => {
  const mesh = (mode: string) =>
    `---\napiVersion: palisade.dev/v1\nkind: Mesh\nspec: {pathNormalization: ${mode}}\n`;
  const yaml = (more: string) =>
    `apiVersion: palisade.dev/v1\nkind: Service\nmetadata: {name: orders, namespace: default}\n` +
    `spec: {ports: [{port: 80, protocol: http}]${more}}\n`;
  const modes = (text: string) => {
    const { pathNormalization, upstreams } = compiled(text);
    return [pathNormalization, upstreams.get('orders')?.pathNormalization];
  };
  assert.deepEqual(modes(yaml('')), ['STRICT', 'STRICT']);
  assert.deepEqual(modes(yaml('') + mesh('BASE')), ['BASE', 'BASE']);
  const own = yaml(', pathNormalization: MERGE_SLASHES');
  assert.deepEqual(modes(own + mesh('BASE')), ['MERGE_SLASHES', 'MERGE_SLASHES']);
});

test('upstreams are found by each of their names and by no other', () => {
  const lookups = resourcesFrom(serviceYaml('shop', 'cart')) as readonly ServiceResource[];
  const snapshot = compiled(serviceYaml('default', 'web'), { lookups });
  const names: readonly (readonly [string, string | undefined])[] = [
    ['web', 'default/web'],
    ['WEB:80', 'default/web'],
    ['web.default', 'default/web'],
    ['web.default.svc', 'default/web'],
    ['web.default.svc.cluster.local', 'default/web'],
    ['web.default.svc.cluster.local.:80', 'default/web'],
    ['cart.shop', 'shop/cart'],
    ['cart', undefined],
    ['web.shop', undefined],
    ['web.default.svc.other', undefined],
  ];
  for (const [host, wanted] of names) {
    const found = findUpstream(snapshot, host);
    assert.equal(found && `${found.namespace}/${found.name}`, wanted, host);
  }
});

test('endpoints of a Service reach its callers, with what the application’s port is', () => {
  const yaml = `apiVersion: palisade.dev/v1
kind: Service
metadata: {name: outside, namespace: default}
spec:
  ports: [{port: 80, protocol: http, targetPort: 9080}]
  endpoints:
    - {address: 10.0.0.7, hbonePort: 15008, authority: address}
    - {address: "fd00::7", port: 15006}
`;
  const outside = findUpstream(compiled(yaml), 'outside');
  assert.deepEqual(outside?.endpoints, [
    { host: '10.0.0.7', port: undefined, hbonePort: 15_008, authority: 'address' },
    { host: 'fd00::7', port: 15_006, hbonePort: undefined, authority: 'service' },
  ]);
  assert.equal(outside?.ports[0]?.targetPort, 9080);
});

test('a lookup cannot stand in for a service of a set that is held whole', () => {
  const lookups = resourcesFrom(serviceYaml('default', 'gone')) as readonly ServiceResource[];
  const snapshot = compiled(serviceYaml('default', 'web'), { lookups });
  assert.equal(findUpstream(snapshot, 'gone'), undefined);
});

test('identities are those declared, or else the account of the name', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['', ['spiffe://cluster.local/ns/default/sa/web']],
    [
      '  serviceAccounts: [front, shop/web]\n  identities: ["spiffe://other/x"]',
      [
        'spiffe://other/x',
        'spiffe://cluster.local/ns/default/sa/front',
        'spiffe://cluster.local/ns/shop/sa/web',
      ],
    ],
  ];
  for (const [more, wanted] of cases) {
    const found = findUpstream(compiled(serviceYaml('default', 'web', more)), 'web');
    assert.deepEqual([...(found?.identities ?? [])], wanted);
  }
});

test('a resource that cannot be compiled refuses the whole set and is named', () => {
  const [resource] = resourcesFrom(policyYaml('default', 'p', ANYONE));
  assert.equal(resource?.kind, 'AuthorizationPolicy');
  const bad = (rule: object): Resource =>
    ({ ...resource, spec: { action: 'ALLOW', rules: [rule] } }) as unknown as Resource;
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ when: [{ key: 'x', values: ['y'] }] }, /rule 0: `x` is no condition/],
    [{ when: [{ key: 'request.time', values: ['soon'] }] }, /`soon` is no time/],
    [{ from: [{ source: { owners: ['*'] } }] }, /`owners` is not supported/],
    [{ from: [{ source: { ipBlocks: ['x'] } }] }, /ipBlocks: /],
    [{ to: [{ operation: { paths: ['/{**}/{**}'] } }] }, /paths: /],
    [{ to: [{ operation: { constructor: ['x'] } }] }, /`constructor` is not supported/],
  ];
  for (const [rule, wanted] of cases) {
    const sets = new Map([['default', { number: 1, hash: '', resources: [bad(rule)] }]]);
    const result = compileSnapshot(inputOf('', { sets }));
    assert.equal(result.ok, false);
    assert.match(result.ok ? '' : result.error.join(), wanted);
  }
});

test('a compiler that falls over is an error, not an empty snapshot', () => {
  const broken = { kind: 'Service', metadata: { name: 'x', namespace: 'default' } };
  const resources = [broken as unknown as Resource];
  const sets = new Map([['default', { number: 1, hash: '', resources }]]);
  const result = compileSnapshot(inputOf('', { sets }));
  assert.equal(result.ok, false);
});
