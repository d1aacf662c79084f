import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { packLines } from '#telemetry';
import { RECORDED_CALL } from '#testing';
import { createMessage, ReportRequestSchema, Telemetry } from '#wire';
import { allowResource, type Fixture, serviceResource, startFixture } from './control-fixture.ts';

const startedAt = Date.now();
let mesh: Fixture;
const PATH = '/api/v1/policy-sets/default/changed-calls';
const WEB = 'spiffe://cluster.local/ns/default/sa/web';

/** Calls of `web` to `orders`, as the sidecar of `orders` recorded them under version 1. */
async function report(paths: readonly string[]): Promise<void> {
  const lines = paths.map((path, index) =>
    JSON.stringify({
      ...RECORDED_CALL,
      time: new Date().toISOString(),
      path,
      // However a call was addressed and then decided, it is the same one to both versions.
      host: index % 2 === 0 ? 'orders' : 'orders:80',
      seq: index + 1,
    }),
  );
  const blocks = [packLines(Buffer.from(lines.map((line) => `${line}\n`).join('')))];
  const stream = mesh.grpc(Telemetry).bidi(Telemetry.method.report);
  const lastSeq = BigInt(paths.length);
  stream.write(createMessage(ReportRequestSchema, { node: 'default/orders/1', blocks, lastSeq }));
  await once(stream, 'data');
  stream.end();
}

before(async () => {
  mesh = await startFixture();
  const service = { 'Service/orders': serviceResource('default', 'orders') };
  const key = 'AuthorizationPolicy/orders-callers';
  const first = await mesh.apply('default', {
    ...service,
    [key]: allowResource('default', 'orders', 'web'),
  });
  assert.equal(first.status, 201, first.text);
  await report(['/list', '/list', '/one']);
  const resource = allowResource('default', 'orders', 'mobile');
  const parent = { number: 1, hash: first.json.hash, commit: {} as never, envelope: {} as never };
  const resources = { ...service, [key]: resource };
  const { envelope } = mesh.commit({ namespace: 'default', resources, parent });
  const second = await mesh.call('POST', '/api/v1/policy-sets/default/commits', {
    body: { envelope, changes: [{ key, resource }] },
    headers: { 'if-match': `"${first.json.hash}"` },
  });
  assert.equal(second.status, 201, second.text);
});
after(() => mesh.close());

test('recorded calls are judged by two versions; those that fare otherwise are told, alike as one', async () => {
  const { status, json } = await mesh.call('GET', `${PATH}?number=2`);
  assert.equal(status, 200);
  assert.deepEqual(
    [json.before, json.after, json.records, json.truncated, json.total],
    [1, 2, 3, false, 2],
  );
  assert.deepEqual([json.nowDenied, json.nowAllowed], [3, 0]);
  assert.ok(Date.parse(json.oldest) >= startedAt, json.oldest);
  const [{ before, after, ...most }] = json.items;
  assert.deepEqual(most, {
    caller: WEB,
    service: 'default/orders',
    method: 'GET',
    path: '/list',
    port: 80,
    count: 2,
  });
  assert.deepEqual([before.verdict, before.policy], ['allow', 'default/orders-callers']);
  assert.deepEqual([after.verdict, after.policy], ['deny', null]);
  const back = await mesh.call('GET', `${PATH}?number=1&against=2`);
  assert.equal(back.json.items[0].after.verdict, 'allow');
  assert.deepEqual([back.json.nowDenied, back.json.nowAllowed], [0, 3]);
  const same = await mesh.call('GET', `${PATH}?number=2&against=2`);
  assert.deepEqual([same.json.records, same.json.items], [3, []]);
});

test('calls of another namespace are none of this one’s, and without any there is no oldest', async () => {
  const first = await mesh.apply('shop', { 'Service/web': serviceResource('shop', 'web') });
  assert.equal(first.status, 201, first.text);
  const { json } = await mesh.call(
    'GET',
    '/api/v1/policy-sets/shop/changed-calls?number=1&against=1',
  );
  assert.deepEqual([json.records, json.oldest, json.truncated, json.total], [0, null, false, 0]);
});

test('a version that is not there is said so, and nothing is guessed', async () => {
  const cases = [
    ['?number=3', 404, 'not_found'],
    ['?number=1', 404, 'not_found'],
    ['?number=2&against=9', 404, 'not_found'],
    ['', 400, 'bad_request'],
    ['?number=0', 400, 'bad_request'],
    ['?number=2&since=soon', 400, 'bad_request'],
  ] as const;
  for (const [query, status, code] of cases) {
    const answer = await mesh.call('GET', PATH + query);
    assert.deepEqual([answer.status, answer.json.code], [status, code], query);
  }
});
