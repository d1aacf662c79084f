import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResources } from './parse.ts';
import { parseStoredResource } from './parse-stored.ts';

const SERVICE = `apiVersion: palisade.dev/v1
kind: Service
metadata:
  name: web
spec:
  ports:
    - port: 80
      protocol: http
`;

function parse(text: string, file = 'f.yaml') {
  return parseResources([{ file, text }], { defaultNamespace: 'shop' });
}

/** The resource of a text without problems. */
function one(text: string) {
  const { resources, diagnostics } = parse(text);
  assert.deepEqual(diagnostics, []);
  assert.equal(resources.length, 1);
  return resources[0]?.resource;
}

test('a service gets its defaults', () => {
  assert.deepEqual(one(SERVICE), {
    apiVersion: 'palisade.dev/v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop' },
    spec: {
      ports: [{ name: 'http', port: 80, protocol: 'http' }],
      identities: [],
      labels: { app: 'web' },
      timeouts: { connect: '2s', idle: '5m', header: '10s', response: '60s', session: '24h' },
    },
  });
});

test('a port that does not say what it speaks is TCP, and named so', () => {
  const service = one(SERVICE.replace(/,? *protocol: http/, ''));
  assert.equal(service?.kind, 'Service');
  assert.deepEqual(service.spec.ports, [{ name: 'tcp', port: 80, protocol: 'tcp' }]);
});

test('a bare service account is one of the own namespace', () => {
  const service = one(`${SERVICE}  serviceAccounts: [front, other/back]\n`);
  assert.equal(service?.kind, 'Service');
  assert.deepEqual(service.spec.serviceAccounts, ['shop/front', 'other/back']);
});

test('a mesh without anything gets name, namespace and defaults', () => {
  assert.deepEqual(one('{"apiVersion": "palisade.dev/v1", "kind": "Mesh", "spec": {}}'), {
    apiVersion: 'palisade.dev/v1',
    kind: 'Mesh',
    metadata: { name: 'mesh', namespace: 'palisade-system' },
    spec: {
      trustDomain: 'cluster.local',
      defaultAction: 'deny',
      // oxlint-disable-next-line unicorn/no-thenable -- the field's public name; nothing awaits a spec
      staleness: { budget: '72h', then: 'enforce' },
      peerAuthentication: { mode: 'STRICT' },
      pathNormalization: 'STRICT',
      reauthorization: { requests: 'finish', within: '5s' },
      tls: { keyExchange: 'prefer-hybrid' },
    },
  });
});

test('a registration gets its defaults', () => {
  const registration = one(`apiVersion: palisade.dev/v1
kind: Registration
metadata: {name: web}
spec:
  spiffeId: spiffe://cluster.local/ns/shop/sa/web
  selectors: ["unix:uid:1000", "unix:path:/usr/bin/node"]
`);
  assert.deepEqual(registration?.spec, {
    spiffeId: 'spiffe://cluster.local/ns/shop/sa/web',
    selectors: ['unix:uid:1000', 'unix:path:/usr/bin/node'],
    ttl: '1h',
    dnsNames: [],
  });
});

test('v1beta1 is read as v1, and the dry-run annotation is kept', () => {
  const policy = one(`apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata:
  name: try
  annotations: {istio.io/dry-run: "true"}
spec: {targetRefs: [{kind: Service, group: "", name: web}]}
`);
  assert.deepEqual(policy, {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'try', namespace: 'shop', annotations: { 'istio.io/dry-run': 'true' } },
    spec: { targetRefs: [{ kind: 'Service', name: 'web' }], action: 'ALLOW', rules: [] },
  });
});

test('attack: an annotation that asks for less than enforcement and is not understood', () => {
  const refused = (kind: string, annotation: string) => {
    const text = `apiVersion: security.istio.io/v1
kind: ${kind}
metadata: {name: try, annotations: {${annotation}: "true"}}
spec: {}
`;
    const { diagnostics } = parseResources([{ file: 'try.yaml', text }], {
      defaultNamespace: 'shop',
    });
    return diagnostics.some(
      ({ code, severity }) => code === 'unknown_field' && severity === 'error',
    );
  };
  for (const annotation of [
    'istio.io/dry-rum',
    'istio.io/dry-run-until',
    'security.istio.io/dry-run',
    'palisade.dev/dry-run',
  ]) {
    assert.equal(refused('AuthorizationPolicy', annotation), true, annotation);
  }
  // Nothing of this kind is ever tried: it would be enforced.
  assert.equal(refused('PeerAuthentication', 'istio.io/dry-run'), true);
  for (const note of ['owner', 'example.com/dry-run', 'notistio.io/dry-run', 'meta.helm.sh/a']) {
    assert.equal(refused('AuthorizationPolicy', note), false, note);
  }
  assert.equal(refused('AuthorizationPolicy', 'istio.io/dry-run'), false);
});

test('a port number is a key without quotes', () => {
  const resource = one(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ports}
spec:
  selector: {matchLabels: {app: web}}
  portLevelMtls: {8080: {mode: DISABLE}}
`);
  assert.equal(resource?.kind, 'PeerAuthentication');
  assert.deepEqual(resource.spec.portLevelMtls, { '8080': { mode: 'DISABLE' } });
});

test('documents keep their own text and places, whatever the line ends', () => {
  const first = SERVICE;
  const second = `# why it is there\n${SERVICE.replace('web', 'api')}`;
  for (const end of ['\n', '\r\n']) {
    const text = `\uFEFF${first}---\n${second}`.replaceAll('\n', end);
    const { resources, diagnostics } = parse(text);
    assert.deepEqual(diagnostics, []);
    assert.deepEqual(
      resources.map((authored) => authored.text.replaceAll(end, '\n')),
      [first, second],
    );
    assert.deepEqual(resources[1]?.position(['metadata', 'name']), {
      file: 'f.yaml',
      line: 14,
      column: 9,
    });
    assert.deepEqual(resources[1]?.position(['spec', 'ports', 0, 'port']), {
      file: 'f.yaml',
      line: 17,
      column: 13,
    });
    assert.deepEqual(resources[1]?.position(['spec', 'timeouts', 'idle']), {
      file: 'f.yaml',
      line: 15,
      column: 1,
    });
    assert.equal(resources[1]?.span(['spec', 'ports']).lineText, '  ports:');
  }
});

test('an error in one document leaves the others', () => {
  const { resources, diagnostics } = parse(
    `${SERVICE}---\na: "open\n---\n${SERVICE.replace('web', 'api')}`,
  );
  assert.deepEqual(
    resources.map(({ resource }) => resource.metadata.name),
    ['web', 'api'],
  );
  assert.deepEqual(
    diagnostics.map(({ code, line }) => ({ code, line })),
    [{ code: 'yaml_syntax', line: 10 }],
  );
});

test('directives belong to the document after them', () => {
  assert.equal(one(`# first\n%YAML 1.2\n---\n${SERVICE}...\n`)?.kind, 'Service');
});

test('the problems of all files are reported at once', () => {
  const { diagnostics } = parseResources(
    ['a', 'b', 'c'].map((file) => ({ file, text: `${SERVICE}  one: 1\n  two: 2\n` })),
    { defaultNamespace: 'default' },
  );
  assert.deepEqual(
    diagnostics.map(({ file, line }) => `${file}:${line}`),
    ['a:9', 'a:10', 'b:9', 'b:10', 'c:9', 'c:10'],
  );
});

test('stored resources are read as strictly as authored ones', () => {
  const check = (
    change: (stored: Record<string, unknown>) => unknown,
    error: RegExp | undefined,
  ) => {
    const parsed = parseStoredResource(
      change(structuredClone(one(SERVICE)) as Record<string, unknown>),
    );
    assert.equal(parsed.ok, error === undefined, JSON.stringify(parsed));
    if (!parsed.ok && error !== undefined) assert.match(parsed.error, error);
  };
  check((stored) => stored, undefined);
  check((stored) => ({ ...stored, kind: 'Gateway' }), /unknown kind `Gateway`/);
  check((stored) => ({ ...stored, extra: 1 }), /unknown field `extra`/);
  check((stored) => ({ ...stored, metadata: { name: 'web' } }), /namespace/);
  check((stored) => ({ ...stored, spec: null }), /`spec` has no value/);
  check((stored) => ({ ...stored, spec: { ports: [undefined] } }), /not JSON/);
  check((stored) => Object.assign(stored, { spec: stored }), /nested too deeply/);
  check(() => undefined, /not JSON/);
  check(() => 'text', /mapping/);
});

test('a namespace cannot register an identity of another', () => {
  const stored = (namespace: string) =>
    parseStoredResource({
      apiVersion: 'palisade.dev/v1',
      kind: 'Registration',
      metadata: { name: 'thief', namespace },
      spec: {
        spiffeId: 'spiffe://cluster.local/ns/payments/sa/payments',
        selectors: ['unix:uid:0'],
      },
    }).ok;
  assert.deepEqual(['payments', 'palisade-system', 'shop'].map(stored), [true, true, false]);
});
