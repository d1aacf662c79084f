// Calls across namespaces: the caller holds one proven Service of the other namespace, not its whole policy.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { answering } from './applications.ts';
import { curlFrom, type Service, startTestMesh, type TestMesh } from './mesh.ts';
import { untilStatus } from './until.ts';

const VAULT = answering(`s.end(q.headers['x-forwarded-client-cert'])`);

let mesh: TestMesh;
let teller: Service;

before(async () => {
  mesh = await startTestMesh();
  teller = await mesh.run('teller', ['sleep', '600']);
  await mesh.run('vault', VAULT, ['--namespace', 'bank']);
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: vault, namespace: bank }
spec:
  selector: { matchLabels: { app: vault } }
  action: ALLOW
  rules:
    - from: [{ source: { namespaces: [default] } }]
      to: [{ operation: { paths: [/deposit] } }]
`);
});
after(() => mesh.close());

test('a service of another namespace is called by NAME.NS, and knows who called', async () => {
  for (const host of ['vault.bank', 'vault.bank.svc', 'vault.bank.svc.cluster.local']) {
    const answer = await untilStatus(200, () => curlFrom(teller, `http://${host}/deposit`));
    assert.match(answer.body, /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/teller/, host);
  }
});

test('its policy is judged there', async () => {
  assert.equal((await curlFrom(teller, 'http://vault.bank/withdraw')).status, 403);
  const check = await mesh.cli(
    'check',
    '--from',
    'teller',
    '--to',
    'bank/vault',
    '--path',
    '/withdraw',
  );
  assert.equal(check.status, 1, check.stdout);
});

test('a bare name means the own namespace', async () => {
  const answer = await curlFrom(teller, 'http://vault/deposit');
  assert.equal(answer.status, 404);
  assert.match(answer.headers, /no_such_service/);
});

test('the caller does not hold the policy of the other namespace', () => {
  const sets = readdirSync(join(mesh.dataDir, 'proxies', 'default.teller', 'sets'));
  assert.deepEqual(sets.sort(), ['default.json', 'palisade-system.json']);
});

test('a Service that is taken back is gone for its callers', async () => {
  const deleted = await mesh.cli('delete', 'service', 'vault', '--namespace', 'bank');
  assert.equal(deleted.status, 0, deleted.stderr);
  const answer = await untilStatus(404, () => curlFrom(teller, 'http://vault.bank/deposit'));
  assert.match(answer.headers, /no_such_service/);
  assert.ok(existsSync(join(mesh.dataDir, 'proxies', 'bank.vault')));
});
