// What reaches the application is read by node:http, Debian's nginx and Python's http.server as one and the same request:
// the one that policy judged.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { PathNormalization } from '#lib';
import {
  createFakeMesh,
  fakePolicy,
  fakeService,
  fakeSnapshot,
} from '../../src/proxy/fake-mesh.ts';
import { createFakePair, type FakePair, talk } from '../../src/proxy/fake-pair.ts';
import { ACCEPTED, type AcceptedRequest } from '../corpus/http1-accepted.ts';
import { findProgram } from './mesh.ts';
import {
  askTeller,
  comparable,
  startCapture,
  startTellers,
  type Teller,
  type Told,
} from './telling-servers.ts';

const closers: (() => unknown)[] = [];
let readers: readonly Teller[] = [];
const pairs = new Map<PathNormalization, FakePair>();
let captured = '';

before(async () => {
  const tellers = await startTellers();
  readers = tellers.readers;
  closers.push(tellers.close);
});
after(async () => {
  for (const close of closers.reverse()) await close();
});

describe('one request to every server', () => {
  test('nginx is there to be asked', async (context) => {
    if ((await findProgram('nginx')) === undefined) return context.skip('needs nginx');
    assert.ok(readers.some(({ name }) => name === 'nginx'));
  });

  for (const request of ACCEPTED) {
    test(JSON.stringify(request.raw).slice(0, 100), async () => check(request));
  }
});

async function check(request: AcceptedRequest): Promise<void> {
  const pair = await pairFor(request.paths ?? 'STRICT');
  captured = '';
  const socket = connect(pair.caller.outboundPort ?? 0, '127.0.0.1');
  const answer = await talk(socket, Buffer.from(request.raw, 'latin1'), (text) =>
    text.includes('\r\n\r\n'),
  );
  socket.destroy();
  assert.match(answer, /^HTTP\/1\.1 200 /);
  const judged = pair.orders.records.at(-1);
  assert.equal(judged?.path, request.target.replace(/\?.*/s, ''));
  const tellings: Told[] = [];
  for (const { name, port } of readers) {
    // Refused is not read otherwise, and nginx serves no `*`.
    if (name === 'nginx' && request.target === '*') continue;
    const told = await askTeller(port, captured);
    assert.equal(told.method, request.method, name);
    assert.equal(told.target, request.target, name);
    assert.equal(Buffer.from(told.body, 'hex').toString('latin1'), request.body, name);
    tellings.push(told);
    assert.deepEqual(comparable(told), comparable(tellings[0] as Told), `${name} and node:http`);
  }
  const fields = comparable(tellings[0] as Told);
  assert.deepEqual(fields['host'], [judged?.host], 'the host that policy judged');
  for (const name of ['connection', 'upgrade', 'te', 'keep-alive', 'x-gone', 'x-palisade-reason'])
    assert.equal(fields[name], undefined, name);
}

/** A pair whose application keeps the bytes of a request until it is whole. */
async function pairFor(mode: PathNormalization): Promise<FakePair> {
  const known = pairs.get(mode);
  if (known !== undefined) return known;
  const application = await startCapture((text) => {
    captured = text;
  });
  closers.push(application.close);
  const mesh = createFakeMesh();
  const policies = [fakePolicy('ALLOW', 'everybody', {})];
  const service = { ...fakeService(mesh, 'a', { account: 'orders' }), pathNormalization: mode };
  const pair = await createFakePair({
    mesh,
    application: { port: application.port },
    service,
    policies,
  });
  const snapshot = fakeSnapshot(mesh, { service: 'a', policies, pathNormalization: mode });
  pair.orders.snapshots.set(snapshot);
  closers.push(() => pair.close());
  pairs.set(mode, pair);
  return pair;
}
