import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { createSelfSignedClient } from '#identity';
import { createPolicyKey, loadSigner } from '#trust';
import {
  allowResource,
  type Fixture,
  hashOf,
  serviceResource,
  startFixture,
} from './control-fixture.ts';

let mesh: Fixture;
before(async () => {
  mesh = await startFixture();
});
after(() => mesh.close());

const COMMITS = '/api/v1/policy-sets/default/commits';

test('nobody reads anything anonymously but whether the process lives', async () => {
  const stranger = createSelfSignedClient({ commonName: 'eve', nowMs: Date.now(), ttlMs: 60_000 });
  const foreign = mesh.authority.issue('spiffe://cluster.local/ns/default/sa/web');
  const clients = [
    undefined,
    stranger,
    { certificatePem: foreign.chainPem, privateKeyPem: foreign.privateKeyPem },
  ];
  const document = await mesh.call('GET', '/api/openapi.json');
  const paths = Object.entries(document.json.paths as Record<string, object>).flatMap(
    ([path, methods]) =>
      Object.keys(methods).map(
        (method) => [method.toUpperCase(), path.replace(/\{[^}]+\}/g, 'x')] as const,
      ),
  );
  assert.ok(paths.length >= 18, `only ${paths.length} operations are documented`);
  const all = [
    ...paths,
    ['GET', '/api/openapi.json'],
    ['GET', '/metrics'],
    ['GET', '/api/nothing'],
  ] as const;
  for (const client of clients) {
    for (const [method, path] of all) {
      const full = path.startsWith('/api') || path === '/metrics' ? path : `/api/v1${path}`;
      const answer = await mesh.call(method, full, { client });
      assert.equal(answer.status, 401, `${method} ${full}`);
      assert.equal(answer.json.code, 'unauthenticated');
    }
    for (const path of ['/healthz/live', '/healthz/ready']) {
      assert.equal((await mesh.call('GET', path, { client })).status, 200);
    }
  }
});

test('the reference lists exactly the operations there are', async () => {
  const { json } = await mesh.call('GET', '/api/openapi.json');
  const offered = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} /api/v1${path}`),
  );
  const url = new URL('../../docs/reference/api.md', import.meta.url);
  const rows = readFileSync(url, 'utf8').matchAll(/^\| `([A-Z]+ \/api\/v1\S+)` \|/gm);
  assert.deepEqual(Array.from(rows, ([, operation]) => operation).toSorted(), offered.toSorted());
});

test('both TLS ports speak TLS 1.3 and nothing older', async () => {
  const { apiPort, grpcPort } = mesh.control();
  for (const port of [apiPort, grpcPort]) {
    const socket = connect({
      host: '127.0.0.1',
      port,
      maxVersion: 'TLSv1.2',
      rejectUnauthorized: false,
    });
    const [error] = await once(socket, 'error');
    assert.match(error.code, /TLSV1_ALERT_PROTOCOL_VERSION|ECONNRESET/);
  }
});

test('an admin sees the mesh, its trust root and an empty namespace', async () => {
  const { json: info } = await mesh.call('GET', '/api/v1/mesh');
  assert.equal(info.trustDomain, 'cluster.local');
  assert.equal(info.apiUrl, `https://127.0.0.1:${mesh.control().apiPort}`);
  assert.equal(info.identity.ready, true);
  assert.equal((await mesh.call('GET', '/api/v1/trust-root')).json.signatures.length, 1);
  const { json: empty } = await mesh.call('GET', '/api/v1/policy-sets/nothing');
  assert.deepEqual([empty.head, empty.number, empty.resources], [null, 0, {}]);
  assert.equal((await mesh.call('GET', '/api/v1/session')).json.name, 'ann');
});

test('of two commits on one parent one is stored and the other gets 412 with the head', async () => {
  const first = await mesh.apply('race', { 'Service/a': serviceResource('race', 'a') });
  assert.equal(first.status, 201, first.text);
  const parent = { number: 1, hash: first.json.hash, commit: {} as never, envelope: {} as never };
  const path = '/api/v1/policy-sets/race/commits';
  const attempt = (name: string) => {
    const resources = {
      'Service/a': serviceResource('race', 'a'),
      [`Service/${name}`]: serviceResource('race', name),
    };
    const { envelope } = mesh.commit({ namespace: 'race', resources, parent });
    const changes = [{ key: `Service/${name}`, resource: serviceResource('race', name) }];
    const headers = { 'if-match': `"${first.json.hash}"` };
    return mesh.call('POST', path, { body: { envelope, changes }, headers });
  };
  const answers = await Promise.all([attempt('b'), attempt('c')]);
  assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [201, 412]);
  const lost = answers.find((answer) => answer.status === 412);
  const won = answers.find((answer) => answer.status === 201);
  assert.equal(lost?.json.code, 'parent_moved');
  assert.equal(lost?.json.parent.hash, won?.json.hash);
  const { json: live } = await mesh.call('GET', '/api/v1/policy-sets/race');
  assert.equal(Object.keys(live.resources).length, 2);
  const { json: history } = await mesh.call('GET', `${path}?limit=1`);
  assert.deepEqual([history.items[0].number, history.next], [2, '2']);
  const { json: older } = await mesh.call('GET', `${path}?limit=1&cursor=${history.next}`);
  assert.deepEqual([older.items[0].number, older.next], [1, null]);
  assert.equal(older.items[0].receivedFrom, 'ann');
});

test('commits that are not signed, not whole or not good are refused, and nothing of them is stored', async () => {
  const stranger = loadSigner(createPolicyKey().privateKeyPem);
  assert.ok(stranger.ok);
  const service = serviceResource('default', 'web');
  const good = mesh.commit({ namespace: 'default', resources: { 'Service/web': service } });
  const forged = mesh.commit({
    namespace: 'default',
    resources: { 'Service/web': service },
    signer: stranger.value,
  });
  const bad = { ...(service as object), spec: { ports: [{ port: 'eighty' }] } };
  const unknown = {
    ...(service as object),
    spec: { colour: 'blue' },
    metadata: { name: 'b', namespace: 'default' },
  };
  const invalid = mesh.commit({
    namespace: 'default',
    resources: { 'Service/web': bad, 'Service/b': unknown },
  });
  const put = [{ key: 'Service/web', resource: service }];
  const first = { 'if-none-match': '*' };
  const cases = [
    [403, 'signature_threshold', { envelope: forged.envelope, changes: put }, first],
    [422, 'root_mismatch', { envelope: good.envelope, changes: [] }, first],
    [
      422,
      'invalid_resources',
      {
        envelope: invalid.envelope,
        changes: [
          { key: 'Service/web', resource: bad },
          { key: 'Service/b', resource: unknown },
        ],
      },
      first,
    ],
    [
      422,
      'source_mismatch',
      { envelope: good.envelope, changes: [{ ...put[0], source: 'kind: Service' }] },
      first,
    ],
    [428, 'precondition_required', { envelope: good.envelope, changes: put }, {}],
    [428, 'precondition_required', { envelope: good.envelope, changes: put }, { 'if-match': '*' }],
    [
      412,
      'parent_moved',
      { envelope: good.envelope, changes: put },
      { 'if-match': `"${hashOf('other')}"` },
    ],
    [422, 'malformed', { envelope: { a: 1 }, changes: put }, first],
    [400, 'bad_request', { envelope: good.envelope }, first],
  ] as const;
  for (const [status, code, body, headers] of cases) {
    const answer = await mesh.call('POST', COMMITS, { body, headers });
    const codes = [
      answer.json.code,
      ...(answer.json.problems ?? []).map((found: { code: string }) => found.code),
    ];
    assert.equal(answer.status, status, answer.text);
    assert.ok(codes.includes(code), `${code} is not in ${codes}`);
    assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/);
  }
  const both = await mesh.call('POST', COMMITS, {
    body: {
      envelope: invalid.envelope,
      changes: [
        { key: 'Service/web', resource: bad },
        { key: 'Service/b', resource: unknown },
      ],
    },
    headers: first,
  });
  assert.deepEqual(
    both.json.problems.map((found: { key: string }) => found.key),
    ['Service/web', 'Service/b'],
  );
  assert.equal((await mesh.call('GET', '/api/v1/policy-sets/default')).json.head, null);
});

test('a dry run checks everything and stores nothing', async () => {
  const { envelope } = mesh.commit({
    namespace: 'dry',
    resources: { 'Service/a': serviceResource('dry', 'a') },
  });
  const body = { envelope, changes: [{ key: 'Service/a', resource: serviceResource('dry', 'a') }] };
  const path = '/api/v1/policy-sets/dry/commits?dryRun=true';
  const answer = await mesh.call('POST', path, { body, headers: { 'if-none-match': '*' } });
  assert.deepEqual(
    [answer.status, answer.json.changes],
    [200, [{ key: 'Service/a', change: 'added' }]],
  );
  assert.equal((await mesh.call('GET', '/api/v1/policy-sets/dry')).json.head, null);
});

test('bodies that are too large, of another type, or no JSON end in a problem', async () => {
  const headers = { 'if-none-match': '*' };
  const cases = [
    [413, 'too_large', 'x'.repeat(17 * 1024 * 1024), headers],
    [415, 'unsupported_media_type', '{}', { ...headers, 'content-type': 'text/plain' }],
    [400, 'bad_request', '{"a":', headers],
    [400, 'bad_request', '{}', { ...headers, 'transfer-encoding': 'chunked' }],
    [400, 'bad_request', '['.repeat(100_000), headers],
  ] as const;
  for (const [status, code, body, sent] of cases) {
    const answer = await mesh.call('POST', COMMITS, { body, headers: sent });
    assert.deepEqual([answer.status, answer.json?.code], [status, code]);
  }
  assert.equal((await mesh.call('GET', '/api/v1/records?limit=0')).status, 400);
  assert.equal(
    (await mesh.call('GET', '/api/v1/records?since=yesterday')).json.code,
    'bad_request',
  );
  assert.equal((await mesh.call('GET', '/api/v1/denials/none')).status, 404);
  assert.equal((await mesh.call('GET', '/api/v1/nothing')).json.code, 'not_found');
  const deleted = await mesh.call('DELETE', COMMITS);
  assert.deepEqual([deleted.status, deleted.json.allowed], [405, ['GET', 'POST']]);
});

test('a database that takes no write refuses the commit in words and keeps nothing of it', async () => {
  const other = new DatabaseSync(join(mesh.folder, 'control', 'control.db'));
  other.exec('BEGIN IMMEDIATE');
  const resources = { 'Service/a': serviceResource('full', 'a') };
  const refused = await mesh.apply('full', resources);
  assert.deepEqual([refused.status, refused.json.code], [507, 'storage_failed']);
  assert.match(refused.json.detail, /nothing was stored: database is locked/);
  other.exec('ROLLBACK');
  other.close();
  assert.equal((await mesh.call('GET', '/api/v1/policy-sets/full')).json.head, null);
  assert.equal((await mesh.apply('full', resources)).status, 201);
});

test('a question is answered by what is stored, with the version it was judged by', async () => {
  const applied = await mesh.apply('ask', {
    'Service/orders': serviceResource('ask', 'orders'),
    'AuthorizationPolicy/orders-callers': allowResource('ask', 'orders', 'web'),
  });
  assert.equal(applied.status, 201, applied.text);
  const ask = (from: string | undefined, method: string) =>
    mesh.call('POST', '/api/v1/check', { body: { from, to: 'orders.ask', method, path: '/' } });
  const web = 'spiffe://cluster.local/ns/ask/sa/web';
  const allowed = await ask(web, 'GET');
  assert.deepEqual([allowed.json.decision.verdict, allowed.json.evaluatedAt.ask], ['allow', 1]);
  const denied = await ask(web, 'POST');
  assert.equal(denied.json.decision.verdict, 'deny');
  assert.ok(denied.json.smallestChange.yaml);
  assert.equal((await ask(undefined, 'GET')).json.decision.verdict, 'deny');
  const { json: listed } = await mesh.call('GET', '/api/v1/resources?namespace=ask&kind=Service');
  assert.deepEqual(
    [listed.items.length, listed.items[0].key, listed.items[0].author],
    [1, 'Service/orders', 'ann'],
  );
  const { json: sets } = await mesh.call('GET', '/api/v1/policy-sets');
  assert.ok(sets.items.some((set: { namespace: string }) => set.namespace === 'ask'));
});

test('what was acknowledged is there after a restart', async () => {
  const before = (await mesh.call('GET', '/api/v1/policy-sets')).json.items;
  await mesh.restart();
  assert.deepEqual((await mesh.call('GET', '/api/v1/policy-sets')).json.items, before);
  assert.ok(before.length > 0);
});

test('damaged records are set aside and stop nothing, a damaged store of policy is named', async () => {
  await mesh.control().close();
  const folder = join(mesh.folder, 'control');
  const records = join(folder, 'records');
  const today = new Date().toISOString().slice(0, 10);
  const garbage = 'no database at all '.repeat(500);
  for (const suffix of ['-wal', '-shm'])
    rmSync(join(records, `${today}.db${suffix}`), { force: true });
  writeFileSync(join(records, `${today}.db`), garbage);
  await mesh.restart();
  assert.ok(readdirSync(records).some((name) => name.startsWith(`${today}.damaged-`)));
  assert.equal((await mesh.call('GET', '/api/v1/records')).status, 200);
  await mesh.control().close();
  const good = readFileSync(join(folder, 'control.db'));
  writeFileSync(join(folder, 'control.db'), garbage);
  await assert.rejects(mesh.restart(), /cannot open the database `.*control\.db`/);
  writeFileSync(join(folder, 'control.db'), good);
  await mesh.restart();
  assert.ok((await mesh.call('GET', '/api/v1/policy-sets')).json.items.length > 0);
});

test('identities come from the issuance log', async () => {
  const { json } = await mesh.call('GET', '/api/v1/identities?current=true');
  assert.equal(json.reachable, true, json.reason);
  assert.equal(json.log.verified, true);
  assert.equal(json.items[0].spiffeId, 'spiffe://cluster.local/palisade/control');
  assert.equal(json.items[0].heldBy, null, 'nobody says that it has that one');
});

test('the overview says in a sentence how things are', async () => {
  const { json } = await mesh.call('GET', '/api/v1/overview');
  assert.match(json.sentence, /service/);
  assert.equal(json.series.calls.length, 90);
  assert.match(
    (await mesh.call('GET', '/metrics')).text,
    /palisade_control_commits_total\{outcome="admitted"\}/,
  );
});
test('policy tests are held against what is stored, and a caller may be named as people do', async () => {
  const text = `apiVersion: palisade.dev/v1
kind: PolicyTest
metadata: { name: t }
spec:
  cases:
    - { name: nobody gets in, from: web, to: nothing-there, expect: deny }
    - { name: somebody does, from: web, to: nothing-there, expect: allow }
`;
  const { status, json } = await mesh.call('POST', '/api/v1/test', { body: { text } });
  assert.equal(status, 200);
  assert.equal(json.passed, false);
  assert.deepEqual(
    json.cases.map((one: { passed: boolean; problems: string[] }) => [one.passed, one.problems]),
    [
      [true, []],
      [false, ['verdict: expected `allow`, got `deny`']],
    ],
  );
  const broken = await mesh.call('POST', '/api/v1/test', { body: { text: 'kind: PolicyTest' } });
  assert.equal(broken.status, 400);
  assert.match(broken.json.detail, /^line 1, column 1: /);
  const asked = await mesh.call('POST', '/api/v1/check', {
    body: { from: 'web', to: 'nothing-there' },
  });
  assert.equal(asked.json.decision.verdict, 'deny');
});
