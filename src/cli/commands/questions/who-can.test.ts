import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFakeContext } from '../../fake-context.ts';
import { runCli } from '../../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-who-can-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const FILE = join(folder, 'shop.yaml');
writeFileSync(
  FILE,
  `apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders}
spec: {ports: [{port: 80, protocol: http}]}
---
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80, protocol: http}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: orders}
spec:
  selector: {matchLabels: {app: orders}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
    to: [{operation: {paths: [/orders]}}]
`,
);

async function whoCan(...args: readonly string[]) {
  const context = createFakeContext();
  const words = ['who-can', '--to', 'orders', '--method', 'GET', '-f', FILE, ...args];
  const status = await runCli(words, context);
  return { status, printed: context.printed() };
}

test('names those that may, and by which rule', async () => {
  const { status, printed } = await whoCan('--path', '/orders');
  assert.equal(status, 0);
  assert.match(printed, /sa\/web +default\/orders, rule 0/);
  assert.match(printed, /^1 of 2 known identities may$/m);
  const other = await whoCan('--path', '/admin');
  assert.deepEqual([other.status, other.printed.trim()], [1, '0 of 2 known identities may']);
});

test('a request that is refused before policy is told as such, not as one that nobody may make', async () => {
  const { status, printed } = await whoCan('--path', 'orders');
  assert.equal(status, 1);
  assert.equal(
    printed.trim(),
    'nobody may, whatever policy says: the path `orders` is refused before policy: it does not begin with /',
  );
  const { printed: json } = await whoCan('--path', '/a/%2e%2e/orders', '-o', 'json');
  const { allowed, refused } = JSON.parse(json) as { allowed: unknown[]; refused: string };
  assert.deepEqual(allowed, []);
  assert.match(refused, /refused before policy/);
  const { printed: fine } = await whoCan('--path', '/orders', '-o', 'json');
  assert.equal((JSON.parse(fine) as { refused: unknown }).refused, null);
});
