import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { PathNormalization } from '#lib';
import { createFakeMesh, fakePolicy, fakeService, fakeSnapshot } from './fake-mesh.ts';
import { ask, createFakePair, type FakePair } from './fake-pair.ts';

const pairs: FakePair[] = [];
afterEach(async () => {
  for (const pair of pairs.splice(0)) await pair.close();
});

/** Allowed is `/open` and what is below it; answers with the request line and the Host it got. */
async function open(mode: PathNormalization): Promise<FakePair> {
  const mesh = createFakeMesh();
  const policies = [fakePolicy('ALLOW', 'open', { path: ['/open', '/open/*'] })];
  const service = { ...fakeService(mesh, 'orders'), pathNormalization: mode };
  const pair = await createFakePair({
    application: (request, response) => response.end(`${request.url} ${request.headers.host}`),
    mesh,
    service,
    policies,
  });
  const snapshot = fakeSnapshot(mesh, { service: 'orders', policies, pathNormalization: mode });
  pair.orders.snapshots.set(snapshot);
  pairs.push(pair);
  return pair;
}

/** What an application gets, or the status; the record must show what policy saw. */
async function check(
  pair: FakePair,
  target: string,
  wanted: string,
  host = 'orders',
): Promise<void> {
  const answer = await ask(
    pair.caller.outboundPort,
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  );
  const status = answer.slice(9, 12);
  assert.equal(
    status === '200' ? answer.split('\r\n\r\n')[1] : status,
    wanted,
    `${target} ${host}`,
  );
  if (status !== '200') return;
  assert.equal(pair.orders.records.at(-1)?.path, wanted.split(/[ ?]/)[0]);
}

test('STRICT: what servers read in several ways is 400 before policy', async () => {
  const pair = await open('STRICT');
  for (const path of ['/open/../secret', '/open//x', '/open%2fx', '/open\\x', '/open/%2e%2e/x']) {
    await check(pair, path, '400');
  }
  await check(pair, '/%6fpen?q=/../', '/open?q=/../ orders');
});

test('BASE: dots are resolved before policy and the application gets the result', async () => {
  const pair = await open('BASE');
  await check(pair, '/open/../secret', '403');
  await check(pair, '/secret/..\\open/x?y', '/open/x?y orders');
  await check(pair, '/open//x', '/open//x orders');
  await check(pair, '/open%2f..%2fsecret', '403');
});

test('DECODE_AND_MERGE_SLASHES: hidden slashes and dots cannot pass a path rule', async () => {
  const pair = await open('DECODE_AND_MERGE_SLASHES');
  await check(pair, '/open%2f..%2fsecret', '403');
  await check(pair, '/open%5c..%5csecret', '403');
  await check(pair, '//open%2F%2Fx', '/open/x orders');
});

test('NONE: policy and application see what was written', async () => {
  const pair = await open('NONE');
  await check(pair, '/open/../secret', '/open/../secret orders');
  await check(pair, '//open', '403');
  await check(pair, '/open%00', '400');
});

test('the host reaches the application in the form that policy judged', async () => {
  const pair = await open('STRICT');
  await check(pair, '/open', '/open orders', 'ORDERS');
  await check(pair, '/open', '/open orders', 'Orders.');
  await check(pair, '/open', '/open orders.default:80', 'orders.DEFAULT.:80');
  await check(pair, 'http://Orders./open', '/open orders', 'orders');
});
