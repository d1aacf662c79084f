import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { AuditEvent } from '#audit';
import { createSelfSignedClient } from '#identity';
import { allowResource, type Fixture, serviceResource, startFixture } from './control-fixture.ts';

let mesh: Fixture;
before(async () => {
  mesh = await startFixture();
});
after(() => mesh.close());

async function recorded(query = ''): Promise<AuditEvent[]> {
  const { json } = await mesh.call('GET', `/api/v1/audit?limit=1000&${query}`);
  return json.items;
}

test('who starts, signs in, commits and is refused is on record, with what changed', async () => {
  const policy = allowResource('default', 'orders', 'web');
  const stored = await mesh.apply('default', {
    'Service/orders': serviceResource('default', 'orders'),
    'AuthorizationPolicy/orders-callers': policy,
  });
  assert.equal(stored.status, 201);
  assert.equal((await mesh.apply('default', {})).status, 412);
  const [refused, commit, signIn, start] = await recorded();
  assert.equal(start?.action, 'process.start');
  assert.equal(start.index, 0);
  assert.equal(signIn?.action, 'admin.sign_in');
  assert.equal(commit?.action, 'policy.commit');
  assert.equal(commit['actor.id'], 'ann');
  assert.equal(commit['actor.ip'], '127.0.0.1');
  assert.equal(commit['target.namespace'], 'default');
  assert.equal(commit['target.name'], '1');
  assert.equal(commit.result, 'ok');
  assert.match(commit.diff ?? '', /\+\+\+ AuthorizationPolicy\/orders-callers\n\+ apiVersion: /);
  assert.equal(commit.previous_hash, signIn.hash);
  assert.equal(refused?.result, 'refused');
  assert.match(refused.reason ?? '', /^parent_moved: /);
});

test('a record is on disk before the answer', async () => {
  await mesh.call('POST', '/api/v1/console/links');
  const text = readFileSync(
    join(mesh.folder, 'control', 'audit', 'segment-000000000000.jsonl'),
    'utf8',
  );
  assert.match(text.trimEnd().split('\n').at(-1) ?? '', /"action":"console\.link"/);
});

test('strangers are on record, and cannot fill the disk', async () => {
  const stranger = createSelfSignedClient({ commonName: 'eve', nowMs: Date.now(), ttlMs: 60_000 });
  for (let i = 0; i < 40; i++) await mesh.call('GET', '/api/v1/mesh', { client: stranger });
  const refused = await recorded('action=admin.refused');
  // Two minutes may have been begun.
  assert.ok(refused.length >= 30 && refused.length <= 60, `${refused.length} records`);
  assert.equal(refused[0]?.['actor.id'], 'nobody');
  assert.equal(refused[0]?.['target.name'], '/api/v1/mesh');
});

test('a console session and a spent link are on record; questions are not', async () => {
  const link = new URL(mesh.control().signInLink() ?? '');
  const path = `${link.pathname}${link.search}`;
  const before = (await recorded()).length;
  const signedIn = await mesh.console('GET', path, { host: link.host });
  assert.equal(signedIn.status, 303);
  assert.equal((await mesh.console('GET', path, { host: link.host })).status, 403);
  const cookie = String(signedIn.headers['set-cookie']).split(';')[0] ?? '';
  assert.equal(
    (await mesh.console('GET', '/api/v1/mesh', { host: link.host, cookie })).status,
    200,
  );
  const written = await mesh.console('POST', '/api/v1/console/links', {
    host: link.host,
    cookie,
    origin: `http://${link.host}`,
  });
  assert.equal(written.status, 403);
  const events = (await recorded()).slice(0, -before).toReversed();
  assert.deepEqual(
    events.map((event) => [event.action, event['actor.id'], event.result]),
    [
      ['admin.sign_in', 'console', 'ok'],
      ['admin.sign_in', 'console', 'refused'],
      ['console.link', 'console', 'refused'],
    ],
  );
  assert.doesNotMatch(JSON.stringify(events), new RegExp(link.searchParams.get('token') ?? 'none'));
});

test('what is refused before it is understood is on record by its name', async () => {
  const refusals = [
    ['POST', '/api/v1/silences', 'alert.silence'],
    ['POST', '/api/v1/revocations', 'identity.revoke'],
  ] as const;
  for (const [method, path, action] of refusals) {
    const { status } = await mesh.call(method, path, { body: { nonsense: true } });
    const [event] = await recorded();
    assert.deepEqual(
      [status, event?.action, event?.result, event?.['target.name']],
      [400, action, 'refused', path],
    );
  }
});

test('filters find by action, actor, target, result, text and time; pages go on', async () => {
  const check = async (query: string, wanted: (event: AuditEvent) => boolean): Promise<void> => {
    const found = await recorded(query);
    assert.ok(found.length > 0 && found.every(wanted), query);
  };
  await check('action=policy', ({ action }) => action.startsWith('policy.'));
  await check('actor=ANN', (event) => event['actor.id'] === 'ann');
  await check('target=policyset/1', (event) => event['target.name'] === '1');
  await check('result=refused', ({ result }) => result === 'refused');
  await check('text=orders-callers', ({ diff }) => diff?.includes('orders-callers') === true);
  await check('since=1m', () => true);
  assert.deepEqual(await recorded('until=1h'), []);
  assert.equal((await mesh.call('GET', '/api/v1/audit?since=yesterday')).status, 400);
  const all = await recorded();
  const paged: AuditEvent[] = [];
  for (let cursor = ''; ; ) {
    const { json } = await mesh.call('GET', `/api/v1/audit?limit=3${cursor}`);
    paged.push(...json.items);
    if (json.next_cursor === null) break;
    cursor = `&cursor=${json.next_cursor}`;
  }
  assert.deepEqual(paged, all);
});

test('the log goes on after a restart', async () => {
  const before = await recorded();
  await mesh.restart();
  const after = await recorded();
  const added = after.slice(0, -before.length).map(({ action }) => action);
  assert.deepEqual(after.slice(-before.length), before);
  assert.deepEqual(added.toReversed().slice(0, 2), ['process.stop', 'process.start']);
});

test('a legal hold is made, listed, released, and on record', async () => {
  const hold = { name: 'case-7', reason: 'counsel asked', since: '720h' };
  assert.equal((await mesh.call('POST', '/api/v1/audit/holds', { body: hold })).status, 201);
  const twice = await mesh.call('POST', '/api/v1/audit/holds', { body: hold });
  assert.equal(twice.status, 400);
  await mesh.restart();
  const { json } = await mesh.call('GET', '/api/v1/audit/holds');
  assert.equal(json.items[0].by, 'ann');
  assert.equal((await mesh.call('DELETE', '/api/v1/audit/holds/case-7')).status, 200);
  assert.equal((await mesh.call('DELETE', '/api/v1/audit/holds/case-7')).status, 404);
  const events = await recorded('action=audit');
  assert.deepEqual(
    events.map(({ action, result }) => `${action} ${result}`),
    [
      'audit.hold_release refused',
      'audit.hold_release ok',
      'audit.hold_add refused',
      'audit.hold_add ok',
    ],
  );
});

test('secrets in what is committed are on no record', async () => {
  const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWl0';
  const secrets = ['S3cretHeaderValue', 'hunter2hunter2', jwt];
  const { from, to } = { from: [], to: [{ operation: { paths: [`/x?token=${secrets[1]}`] } }] };
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'by-header', namespace: 'shop', annotations: { note: `Bearer ${jwt}` } },
    spec: {
      action: 'ALLOW',
      rules: [{ from, to, when: [{ key: 'request.headers[x-api-key]', values: [secrets[0]] }] }],
    },
  };
  await mesh.apply('shop', { 'AuthorizationPolicy/by-header': policy });
  const [commit] = await recorded('action=policy.commit&target=shop');
  assert.match(commit?.diff ?? '', /request\.headers\[x-api-key\]/);
  for (const secret of secrets) assert.ok(!JSON.stringify(commit).includes(secret), secret);
});
