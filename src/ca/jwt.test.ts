// JWT-SVIDs from a real authority over real TLS.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import {
  derToPem,
  type JwtBundle,
  parseTrustDomain,
  requesterTag,
  revocableOf,
  verifyJwtSvid,
} from '#identity';
import { decodeEnvelope, openJwtKeys } from '#trust';
import { Issuance } from '#wire';
import {
  clientOf,
  createTestMesh,
  csrOf,
  enrol,
  registration,
  signSet,
  startFakeControl,
  type TestCaller,
  TRUST_DOMAIN,
} from './fixtures.ts';

const WEB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;
const SELECTORS = ['unix:uid:1000'];

const mesh = createTestMesh();
const first = await mesh.startCa();
const control = await startFakeControl(mesh, first);
await first.close();
const ca = await mesh.startCa({ control: control.address });
await control.subscribed();
const operator = await enrol(mesh, ca.port, '/palisade/control', mesh.tokens.control);
const agent = await enrol(mesh, ca.port, '/palisade/agent/host-1', mesh.tokens.agent);
await control.send(
  signSet(mesh, [
    registration('web', SELECTORS),
    registration('orders', ['unix:uid:1001'], { jwtTtl: '2h' }),
  ]),
);

after(async () => {
  for (const caller of [operator, agent]) caller.client.close();
  await ca.close();
  await control.close();
  mesh.remove();
});

type Request = { spiffeId?: string; audience?: string[]; selectors?: string[] };

function issue(request: Request = {}, caller: TestCaller = agent) {
  return caller.client.unary(Issuance.method.issueJwtSvid, {
    spiffeId: WEB,
    audience: ['reports'],
    selectors: SELECTORS,
    ...request,
  });
}

async function bundle(caller: TestCaller = agent): Promise<JwtBundle> {
  const { envelope } = await caller.client.unary(Issuance.method.fetchJwtKeys, {});
  const decoded = decodeEnvelope(envelope);
  assert.ok(decoded.ok);
  const opened = openJwtKeys(decoded.value, mesh.trustRoot);
  assert.ok(opened.ok);
  const trustDomain = parseTrustDomain(TRUST_DOMAIN);
  assert.ok(trustDomain.ok);
  const keys = new Map(opened.value.keys.map((key) => [key.kid, key]));
  return { trustDomain: trustDomain.value, keys };
}

test('an agent gets a token of the process it attested, verifiable and in the log', async () => {
  const issued = await issue({ audience: ['reports', 'billing'] });
  const nowMs = mesh.clock.nowMs;
  const svid = verifyJwtSvid(issued.token, {
    bundles: [await bundle()],
    audience: 'billing',
    nowMs,
  });
  assert.ok(svid.ok);
  assert.equal(svid.value.id.text, WEB);
  const life = svid.value.expiresAt - nowMs;
  assert.ok(life > 298_000 && life <= 300_000, String(life));
  assert.equal(BigInt(svid.value.expiresAt), issued.expiresAtMs);
  const { entries } = await operator.client.unary(Issuance.method.readLog, {
    after: issued.logNumber - 1n,
  });
  const [entry] = entries;
  assert.equal(entry?.hash, issued.logHash);
  assert.equal(entry?.kind, 'jwt');
  assert.deepEqual(entry?.audience, ['reports', 'billing']);
  assert.equal(entry?.serial, svid.value.claims['jti']);
  const { requester } = revocableOf(svid.value);
  assert.equal(requester, requesterTag(entry?.requestedBy ?? ''), 'revoked with its agent');
  assert.equal(entry?.allowedBy, 'shop@1');
  assert.equal(entry?.certificateSha256, createHash('sha256').update(issued.token).digest('hex'));
});

test('the lifetime is what the registration says', async () => {
  const { expiresAtMs } = await issue({
    spiffeId: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/orders`,
    selectors: ['unix:uid:1001'],
  });
  assert.ok(Number(expiresAtMs) - mesh.clock.nowMs > 7_190_000);
});

test('attack: tokens that no registration gives', async () => {
  const denied: [Request, RegExp][] = [
    [{ selectors: [] }, /unix:uid:1000/],
    [{ spiffeId: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/vault` }, /no signed Registration/],
    [{ spiffeId: 'spiffe://other.org/ns/shop/sa/web' }, /trust domain/],
    [{ spiffeId: `spiffe://${TRUST_DOMAIN}/palisade/ca` }, /of the mesh itself/],
    [{ spiffeId: `spiffe://${TRUST_DOMAIN}/palisade/agent/host-1` }, /of the mesh itself/],
  ];
  for (const [request, details] of denied) {
    await assert.rejects(issue(request), { code: status.PERMISSION_DENIED, details });
  }
  const invalid: [Request, RegExp][] = [
    [{ spiffeId: 'web' }, /spiffe:\/\//],
    [{ audience: [] }, /audience/],
    [{ audience: [''] }, /audience/],
    [{ audience: Array.from({ length: 17 }, (_, i) => `a${i}`) }, /audiences/],
    [{ audience: ['a'.repeat(1025)] }, /audiences/],
    [{ selectors: Array.from({ length: 129 }, () => 'unix:uid:1000') }, /selectors/],
  ];
  for (const [request, details] of invalid) {
    await assert.rejects(issue(request), { code: status.INVALID_ARGUMENT, details });
  }
});

test('attack: the control plane and a workload ask for tokens', async () => {
  await assert.rejects(issue({}, operator), { code: status.PERMISSION_DENIED });
  const { csr, privateKeyPem } = csrOf('/ns/shop/sa/web');
  const svid = await agent.client.unary(Issuance.method.issueX509Svid, {
    csr,
    selectors: SELECTORS,
  });
  const chainPem = svid.chain.map((der) => derToPem(der)).join('');
  const client = clientOf(mesh, ca.port, { chainPem, privateKeyPem });
  const workload = { client, chainPem, privateKeyPem, svid };
  await assert.rejects(issue({}, workload), { code: status.PERMISSION_DENIED });
  await assert.rejects(bundle(workload), { code: status.PERMISSION_DENIED });
  const anonymous = { ...workload, client: clientOf(mesh, ca.port) };
  await assert.rejects(issue({}, anonymous), { code: status.UNAUTHENTICATED });
  await assert.rejects(bundle(anonymous), { code: status.UNAUTHENTICATED });
  client.close();
  anonymous.client.close();
});

test('SECURITY: a workload that asks without end is limited by itself; its host and its neighbours are not', async () => {
  const other = await mesh.startCa({
    control: control.address,
    tokenRateLimit: { burst: 2, perSecond: 0.01 },
  });
  await control.subscribed();
  const slow = await enrol(mesh, other.port, '/palisade/agent/host-1', mesh.tokens.agent);
  try {
    const answers: number[] = [];
    // Another audience does not make it another workload.
    for (const audience of ['a', 'b', 'c', 'd']) {
      const done = await issue({ audience: [audience] }, slow).then(
        () => status.OK,
        (error: { code: number }) => error.code,
      );
      answers.push(done);
    }
    assert.deepEqual(answers, [
      status.OK,
      status.OK,
      status.RESOURCE_EXHAUSTED,
      status.RESOURCE_EXHAUSTED,
    ]);
    const neighbour = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/orders`;
    await issue({ spiffeId: neighbour, selectors: ['unix:uid:1001'] }, slow);
    await slow.client.unary(Issuance.method.issueX509Svid, {
      csr: csrOf('/ns/shop/sa/web').csr,
      selectors: SELECTORS,
    });
  } finally {
    slow.client.close();
    await other.close();
  }
});
