import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { IMPORT_DIFFERENCES } from '#compile';
import { createFakeContext } from '../../fake-context.ts';
import { runCli } from '../../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-import-'));
after(() => rmSync(folder, { recursive: true }));

async function importText(text: string, ...flags: string[]) {
  const context = createFakeContext({ stdin: text });
  const argv = ['import', 'istio', '-f', '-', '-o', 'json', ...flags];
  const status = await runCli(argv, context);
  return { status, value: JSON.parse(context.printed()), complained: context.complained() };
}

// As `kubectl get -A -o yaml` prints it.
const DUMP = `apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: '{}'
    creationTimestamp: "2025-01-01T00:00:00Z"
    generation: 3
    managedFields: [{manager: kubectl}]
    name: deny-debug
    namespace: istio-system
    resourceVersion: "123"
    uid: 6a4f
  spec: {action: DENY, rules: [{to: [{operation: {paths: [/debug, //debug]}}]}]}
  status: {}
- apiVersion: security.istio.io/v1beta1
  kind: AuthorizationPolicy
  metadata: {name: orders, namespace: shop}
  spec:
    selector: {matchLabels: {app: orders}}
    rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}], to: [{operation: {ports: ["8080"]}}]}]
- apiVersion: v1
  kind: Service
  metadata: {name: orders, namespace: shop, uid: x}
  spec: {clusterIP: 10.0.0.1, selector: {app: orders}, ports: [{name: http-web, port: 80, targetPort: 8080, protocol: TCP}]}
- apiVersion: v1
  kind: Service
  metadata: {name: db, namespace: shop}
  spec: {selector: {app: postgres}, ports: [{port: 5432, targetPort: db}]}
- apiVersion: networking.istio.io/v1
  kind: VirtualService
  metadata: {name: v, namespace: shop}
  spec: {}
`;

test('a dump of a cluster is read, and what would be judged otherwise is said', async () => {
  const { status, value } = await importText(DUMP);
  assert.equal(status, 0, JSON.stringify(value.refused));
  assert.deepEqual(
    value.resources.map(
      ({
        resource,
        line,
      }: {
        resource: { kind: string; metadata: { namespace: string; name: string } };
        line: number;
      }) => `${resource.kind} ${resource.metadata.namespace}/${resource.metadata.name}:${line}`,
    ),
    [
      'AuthorizationPolicy palisade-system/deny-debug:5',
      'AuthorizationPolicy shop/orders:19',
      'Service shop/orders:25',
      'Service shop/db:29',
    ],
  );
  assert.deepEqual(
    value.differences
      .map(({ code, where }: Record<string, string>) => `${code} ${where}`)
      .toSorted(),
    [
      'app_label Service shop/db',
      'default_deny Service shop/db',
      'peer_mode mesh',
      'port_number AuthorizationPolicy shop/orders',
      'refused_path AuthorizationPolicy palisade-system/deny-debug',
      'root_namespace AuthorizationPolicy palisade-system/deny-debug',
    ],
  );
  assert.deepEqual(value.skipped, { 'networking.istio.io/v1/VirtualService': 1 });
  assert.equal(value.resources[2].resource.spec.ports[0].protocol, 'http');
});

test('what is written validates and keeps Istio’s defaults where asked to', async () => {
  const out = join(folder, 'out');
  const { value } = await importText(DUMP, '--out', out, '--keep-defaults');
  assert.equal(value.written.length, 2);
  const context = createFakeContext();
  assert.equal(await runCli(['validate', out], context), 0, context.printed());
  assert.match(readFileSync(join(out, 'palisade-system.yaml'), 'utf8'), /defaultAction: allow/);
  const codes = new Set(value.differences.map(({ code }: { code: string }) => code));
  assert.ok(!codes.has('default_deny') && !codes.has('peer_mode'));
});

test('a policy that cannot be enforced is refused with its place, and the rest is imported', async () => {
  const text = DUMP.replace('action: DENY', 'action: SOMETHING');
  const { status, value } = await importText(text);
  assert.equal(status, 1);
  assert.deepEqual(
    value.refused.map(({ code, line }: { code: string; line: number }) => [code, line]),
    [['bad_value', 17]],
  );
  assert.equal(value.resources.length, 3);
});

test('attack: aliases that explode end as one problem', async () => {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level++) {
    const before = String.fromCharCode(96 + level);
    const name = String.fromCharCode(97 + level);
    lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`);
  }
  const { status, value } = await importText(`kind: List\n${lines.join('\n')}\nitems: *i\n`);
  assert.equal(status, 1);
  assert.equal(value.refused[0].code, 'alias_expansion');
});

test('the reference names every difference', () => {
  const page = readFileSync(
    new URL('../../../../docs/reference/istio-differences.md', import.meta.url),
    'utf8',
  );
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (.+?) \|$/gm)].map(([, code, meaning]) => [
    code,
    meaning,
  ]);
  assert.deepEqual(Object.fromEntries(rows), IMPORT_DIFFERENCES);
});
