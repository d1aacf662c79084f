// What the tools say about policy in force and traffic seen: dry-run effects, calls that a change decides otherwise,
// and the least policy for what was observed; each between real processes.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { answering } from './applications.ts';
import {
  curlFrom,
  type Finished,
  palisade,
  type Service,
  start,
  startTestMesh,
  type TestMesh,
} from './mesh.ts';
import { until, untilStatus } from './until.ts';

const CALLERS = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: orders }
spec:
  selector: { matchLabels: { app: orders } }
  rules:
    - from: [{ source: { serviceAccounts: [web] } }]
      to: [{ operation: { methods: [GET], paths: [/list, /orders/*] } }]
`;

const TRIAL = `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-orders, annotations: { istio.io/dry-run: "true" } }
spec:
  selector: { matchLabels: { app: orders } }
  action: DENY
  rules: [{ to: [{ operation: { paths: [/orders/*] } }] }]
`;

let mesh: TestMesh;
let web: Service;

before(async () => {
  mesh = await startTestMesh();
  web = await mesh.run('web', ['sleep', '600']);
  await mesh.run('orders', answering("s.end('ok')"));
  await mesh.apply(CALLERS + TRIAL);
  await untilStatus(200, () => curlFrom(web, 'http://orders/list'));
  for (const id of [1, 2, 3]) {
    assert.equal((await curlFrom(web, `http://orders/orders/${id}`)).status, 200);
  }
  assert.equal((await curlFrom(web, 'http://orders/admin')).status, 403);
});
after(() => mesh.close());

test('a policy in dry-run changes nothing, and what it would have denied is summed up by caller', async () => {
  const status = await untilPrinted('would deny 3 calls', 'status', '--dry-run', '--since', '1h');
  assert.match(status.stdout, /^default\/no-orders would deny 3 calls of \d+ in the last 1h$/m);
  assert.match(
    status.stdout,
    /^ {2}3 × default\/web → default\/orders: allow would be deny, e\.g\. GET \/orders\/3$/m,
  );
});

test('the suggested policy allows what was seen and nothing more', async () => {
  const suggested = await untilPrinted('{*}', 'suggest', '--service', 'orders', '--since', '1d');
  assert.equal(suggested.status, 0, suggested.stderr);
  assert.match(suggested.stdout, /# 3 calls to 3 different paths\n {14}- "\/orders\/\{\*\}"/);
  assert.match(suggested.stdout, /# Not allowed: 1 call that policy denied\./);
  const file = write('suggested.yaml', suggested.stdout);
  const ask = (path: string) =>
    mesh.cli('check', '-f', file, '--from', 'web', '--to', 'orders', '--path', path);
  assert.deepEqual(
    [(await ask('/orders/9')).status, (await ask('/list')).status, (await ask('/admin')).status],
    [0, 0, 1],
  );
});

test('diff says which calls change, and which of those that were recorded', async () => {
  const file = write('narrow.yaml', CALLERS.replace('/list, /orders/*', '/list'));
  const narrower = await mesh.cli('diff', '-f', file);
  assert.equal(narrower.status, 1, narrower.stderr);
  assert.match(narrower.stdout, /^default\/AuthorizationPolicy\/orders configured$/m);
  assert.match(
    narrower.stdout,
    /allow → deny {2}default\/web → default\/orders:80 GET \/orders\/\*/,
  );
  assert.match(
    narrower.stdout,
    /1 × spiffe:\/\/cluster\.local\/ns\/default\/sa\/web → default\/orders GET \/orders\/1/,
  );
  const same = await mesh.cli('diff', '-f', write('same.yaml', CALLERS));
  assert.equal(same.status, 0, same.stdout);
});

test('tests run again when a file changes', async () => {
  write('watched/policy.yaml', CALLERS);
  const cases = (expected: string) =>
    write(
      'watched/cases.yaml',
      `apiVersion: palisade.dev/v1
kind: PolicyTest
metadata: { name: t }
spec: { cases: [{ name: a, from: web, to: orders, request: { path: /list }, expect: ${expected} }] }
`,
    );
  cases('allow');
  const folder = join(mesh.dataDir, 'test-files', 'watched');
  const watching = start(palisade('test', '--watch', folder));
  await watching.printed(/1 of 1 cases as expected[\s\S]*watching for changes/, 15_000);
  cases('deny');
  await watching.printed(/0 of 1 cases as expected[\s\S]*watching for changes/, 15_000);
  cases('{');
  await watching.printed(/errors? above/, 15_000);
  await watching.stop('SIGINT');
});

function write(name: string, text: string): string {
  const path = join(mesh.dataDir, 'test-files', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** Runs a command until it prints this: records arrive by batches, a moment after the calls. */
function untilPrinted(text: string, ...args: string[]): Promise<Finished> {
  return until(`\`${args.join(' ')}\` prints ${text}`, async () => {
    const done = await mesh.cli(...args);
    return done.stdout.includes(text) && done;
  });
}
