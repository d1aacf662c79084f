// The Workload API as raw gRPC sees it: what client libraries hide, they hide here from nobody.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { SpiffeWorkloadAPI } from '#wire';
import {
  createFakeMesh,
  registration,
  resource,
  service,
  signSet,
  TRUST_DOMAIN,
} from './fake-mesh.ts';
import { errorOf, readerOf, startWorld, withHeader } from './fake-world.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
const uid = process.getuid?.() ?? 0;
const WEB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;
const API = SpiffeWorkloadAPI.method;
type World = Awaited<ReturnType<typeof startWorld>>;

function fetchTokens(world: World, request: { audience?: string[]; spiffeId?: string } = {}) {
  return world.workload.unary(
    API.fetchJWTSVID,
    { audience: ['reports'], ...request },
    { metadata: withHeader() },
  );
}

function validate(world: World, svid: string, audience = 'reports') {
  return world.workload.unary(API.validateJWTSVID, { svid, audience }, { metadata: withHeader() });
}

function jwtBundles(world: World) {
  return readerOf(world.workload.serverStream(API.fetchJWTBundles, {}, withHeader()));
}

function x509Bundles(world: World) {
  return readerOf(world.workload.serverStream(API.fetchX509Bundles, {}, withHeader()));
}

/** A registration of another identity for this very process. */
function second(name: string, more: object = {}) {
  const spiffeId = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/${name}`;
  return resource('Registration', name, { spiffeId, selectors: [`unix:uid:${uid}`], ...more });
}

describe('attack: a request forged through a browser', () => {
  const calls: [string, (world: World, metadata: Metadata) => Promise<number | undefined>][] = [
    [
      'FetchX509SVID',
      (world, metadata) => errorOf(world.workload.serverStream(API.fetchX509SVID, {}, metadata)),
    ],
    [
      'FetchX509Bundles',
      (world, metadata) => errorOf(world.workload.serverStream(API.fetchX509Bundles, {}, metadata)),
    ],
    [
      'FetchJWTBundles',
      (world, metadata) => errorOf(world.workload.serverStream(API.fetchJWTBundles, {}, metadata)),
    ],
    [
      'FetchJWTSVID',
      (world, metadata) =>
        codeOf(world.workload.unary(API.fetchJWTSVID, { audience: ['a'] }, { metadata })),
    ],
    [
      'ValidateJWTSVID',
      (world, metadata) =>
        codeOf(
          world.workload.unary(API.validateJWTSVID, { audience: 'a', svid: 'b' }, { metadata }),
        ),
    ],
  ];
  test('is an invalid argument without the header, whoever asks; with it, the unregistered are denied', async () => {
    const world = await startWorld(mesh);
    await world.sync(signSet(mesh, [service('web'), registration('web', ['unix:uid:4294967294'])]));
    for (const [name, call] of calls) {
      for (const values of [[], ['True'], ['true', 'true'], ['']]) {
        const metadata = new Metadata();
        for (const value of values) metadata.add('workload.spiffe.io', value);
        assert.equal(await call(world, metadata), status.INVALID_ARGUMENT, `${name} ${values}`);
      }
      assert.equal(await call(world, withHeader()), status.PERMISSION_DENIED, name);
    }
    await world.end();
  });
});

test('several identities come in a fixed order, each hint once', async () => {
  const world = await startWorld(mesh);
  await world.sync(
    signSet(mesh, [
      service('web'),
      second('b', { hint: 'internal' }),
      second('a'),
      second('c', { hint: 'internal' }),
      second('d', { hint: 'external' }),
    ]),
  );
  const stream = world.open();
  let { svids } = await stream.next();
  while (svids.length < 4) ({ svids } = await stream.next());
  const hints = [
    ['a', ''],
    ['b', 'internal'],
    ['c', ''],
    ['d', 'external'],
  ];
  assert.deepEqual(
    svids.map(({ spiffeId, hint }) => [spiffeId.slice(-1), hint]),
    hints,
  );
  stream.cancel();
  const tokens = await fetchTokens(world);
  assert.deepEqual(
    tokens.svids.map(({ spiffeId, hint }) => [spiffeId.slice(-1), hint]),
    hints,
  );
  await world.end();
});

test('bundles are for the registered alone, issued or not, and end with the registration', async () => {
  const world = await startWorld(mesh);
  world.authority.refuse = () => true;
  await world.register();
  const streams = [x509Bundles(world), jwtBundles(world)] as const;
  const x509 = await streams[0].next();
  assert.deepEqual(Object.keys(x509.bundles), [`spiffe://${TRUST_DOMAIN}`]);
  const jwt = await streams[1].next();
  assert.deepEqual(Object.keys(jwt.bundles), [`spiffe://${TRUST_DOMAIN}`]);
  const jwks = JSON.parse(Buffer.from(Object.values(jwt.bundles)[0] ?? []).toString()) as {
    keys: { kid?: string; use?: string }[];
  };
  assert.equal(jwks.keys.length, 1);
  assert.ok(jwks.keys.every(({ kid, use }) => typeof kid === 'string' && use === 'jwt-svid'));
  await world.sync(signSet(mesh, [service('web')], { parent: world.registered }));
  for (const stream of streams) assert.equal(await stream.error(), status.PERMISSION_DENIED);
  await world.end();
});

test('a token is what clients demand, validates, and is used again', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const { svids } = await fetchTokens(world, { audience: ['reports', 'billing'] });
  const [svid] = svids;
  assert.equal(svid?.spiffeId, WEB);
  const [header = ''] = svid.svid.split('.');
  assert.deepEqual(Object.keys(JSON.parse(Buffer.from(header, 'base64url').toString())).sort(), [
    'alg',
    'kid',
    'typ',
  ]);
  const { spiffeId, claims } = await validate(world, svid.svid, 'billing');
  assert.equal(spiffeId, WEB);
  assert.equal(claims?.['sub'], WEB);
  assert.deepEqual(claims?.['aud'], ['reports', 'billing']);
  assert.equal(typeof claims?.['exp'], 'number');
  const again = await fetchTokens(world, { audience: ['reports', 'billing'], spiffeId: WEB });
  assert.equal(again.svids[0]?.svid, svid.svid);
  assert.equal(world.authority.jwt.requests.length, 1);
  assert.ok(world.authority.jwt.requests[0]?.selectors.includes(`unix:uid:${uid}`));
  await fetchTokens(world, { audience: ['billing', 'reports'] });
  assert.equal(world.authority.jwt.requests.length, 2);
  await world.end();
});

test('many callers for one token ask the authority once', async () => {
  const world = await startWorld(mesh);
  await world.register();
  await Promise.all(Array.from({ length: 20 }, () => fetchTokens(world)));
  assert.equal(world.authority.jwt.requests.length, 1);
  await world.end();
});

test('after half of its life a token is asked for anew; without the authority the old one is good to its end', async () => {
  let ahead = 0;
  const world = await startWorld(mesh, { clock: () => Date.now() + ahead });
  await world.register();
  const { svids } = await fetchTokens(world);
  ahead = 151_000;
  world.authority.jwt.refuseWith = status.UNAVAILABLE;
  assert.equal((await fetchTokens(world)).svids[0]?.svid, svids[0]?.svid);
  ahead = 291_000;
  assert.equal(await codeOf(fetchTokens(world)), status.UNAVAILABLE);
  ahead = 151_000;
  world.authority.jwt.refuseWith = undefined;
  const renewed = await fetchTokens(world);
  assert.notEqual(renewed.svids[0]?.svid, undefined);
  world.authority.jwt.refuseWith = status.PERMISSION_DENIED;
  ahead = 302_000;
  assert.equal(await codeOf(fetchTokens(world)), status.PERMISSION_DENIED);
  await world.end();
});

test('attack: tokens for others, and what is no request', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const code = (request: { audience?: string[]; spiffeId?: string }) =>
    codeOf(fetchTokens(world, request));
  assert.equal(await code({ spiffeId: `${WEB}2` }), status.PERMISSION_DENIED);
  assert.equal(await code({ spiffeId: 'spiffe://other.org/x' }), status.PERMISSION_DENIED);
  for (const path of [
    '',
    '/',
    '//',
    '/a/',
    '/a/../b',
    '/%61',
    '/a b',
    '/ä',
    '/a?b',
    '/a#b',
    '/\0',
  ]) {
    const expected = path === '' ? status.PERMISSION_DENIED : status.INVALID_ARGUMENT;
    assert.equal(await code({ spiffeId: `spiffe://${TRUST_DOMAIN}${path}` }), expected, path);
  }
  assert.equal(await code({ spiffeId: WEB.padEnd(2049, 'x') }), status.INVALID_ARGUMENT);
  assert.equal(await code({ audience: [] }), status.INVALID_ARGUMENT);
  assert.equal(await code({ audience: [''] }), status.INVALID_ARGUMENT);
  assert.equal(await code({ audience: ['a'.repeat(1025)] }), status.INVALID_ARGUMENT);
  assert.equal(world.authority.jwt.requests.length, 0);
  await world.end();
});

test('attack: tokens that are none, for others, or changed, are invalid arguments', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const [svid] = (await fetchTokens(world)).svids;
  assert.ok(svid);
  const good = svid.svid;
  const invalid: [string, string][] = [
    [good, 'billing'],
    [good, ''],
    ['', 'reports'],
    ['x', 'reports'],
    [`${good.slice(0, -8)}AAAAAAA_`, 'reports'],
    [`eyJhbGciOiJub25lIn0.${good.split('.')[1]}.`, 'reports'],
    [good.repeat(100), 'reports'],
  ];
  for (const [token, audience] of invalid) {
    assert.equal(await codeOf(validate(world, token, audience)), status.INVALID_ARGUMENT);
  }
  await world.end();
});

test('a rotated key reaches bundles and validation at once; a tainted one takes its tokens along', async () => {
  let ahead = 0;
  const world = await startWorld(mesh, { clock: () => Date.now() + ahead });
  await world.register();
  const stream = jwtBundles(world);
  const before = await stream.next();
  const [old] = (await fetchTokens(world)).svids;
  world.authority.jwt.rotate();
  ahead = 2_000;
  // A token of a key that this agent has not heard of makes it ask.
  const fresh = world.authority.jwt.sign(WEB, ['reports']);
  assert.equal((await validate(world, fresh)).spiffeId, WEB);
  assert.notDeepEqual((await stream.next()).bundles, before.bundles);
  assert.equal(await codeOf(validate(world, old?.svid ?? '')), status.INVALID_ARGUMENT);
  const [renewed] = (await fetchTokens(world)).svids;
  assert.notEqual(renewed?.svid, old?.svid);
  await world.end();
});

test('attack: an older key document brings nothing back', async () => {
  let ahead = 0;
  const world = await startWorld(mesh, { clock: () => Date.now() + ahead });
  await world.register();
  const [token] = (await fetchTokens(world)).svids;
  world.authority.jwt.rollBack();
  world.authority.jwt.rotate();
  ahead = 2_000;
  const other = world.authority.jwt.sign(WEB, ['reports']);
  assert.equal(await codeOf(validate(world, other)), status.INVALID_ARGUMENT);
  assert.equal((await validate(world, token?.svid ?? '')).spiffeId, WEB);
  await world.end();
});

test('the keys of before are there after a restart without an authority', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const [token] = (await fetchTokens(world)).svids;
  await world.end();
  const again = await startWorld(mesh, { folder: world.folder });
  again.authority.jwt.envelope = () => Buffer.from('{}');
  assert.equal((await validate(again, token?.svid ?? '')).spiffeId, WEB);
  await again.end();
});

test('WIT calls are unimplemented, which alone makes clients stop asking', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const client = new Client(`unix:${world.socketPath}`, credentials.createInsecure());
  const bytes = (value: Buffer) => value;
  for (const method of ['FetchWITSVID', 'FetchWITBundles']) {
    const path = `/SpiffeWorkloadAPI/${method}`;
    const call = client.makeServerStreamRequest(path, bytes, bytes, Buffer.alloc(0), withHeader());
    assert.equal(await errorOf(call), status.UNIMPLEMENTED);
  }
  client.close();
  await world.end();
});

test('a thousand watchers are all told, and what they leave is forgotten', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const watchers = Array.from({ length: 1000 }, () => world.open());
  const answers = await Promise.all(watchers.map((watcher) => watcher.next()));
  assert.ok(answers.every(({ svids }) => svids[0]?.spiffeId === WEB));
  assert.equal(world.authority.requests.filter(({ id }) => id === WEB).length, 1);
  await world.sync(signSet(mesh, [service('web')], { parent: world.registered }));
  const codes = await Promise.all(watchers.map((watcher) => watcher.error()));
  assert.ok(codes.every((code) => code === status.PERMISSION_DENIED));
  await world.end();
});

function codeOf(call: Promise<unknown>): Promise<number | undefined> {
  return call.then(
    () => undefined,
    (error: ServiceError) => error.code,
  );
}
