import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { isAttestationStrength, parseBundle, parseTrustDomain, verifyX509Svid } from '#identity';
import { createPolicyKey, type LogEntry, loadSigner, verifyIssuanceLog } from '#trust';
import { Issuance, type LogEntry as WireEntry, type X509SvidResponse } from '#wire';
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

const WEB = ['unix:uid:1000', 'palisade:service:shop/web'];

const mesh = createTestMesh();
const first = await mesh.startCa();
const control = await startFakeControl(mesh, first);
await first.close();
const ca = await mesh.startCa({ control: control.address });
await control.subscribed();
const operator = await enrol(mesh, ca.port, '/palisade/control', mesh.tokens.control);
const agent = await enrol(mesh, ca.port, '/palisade/agent/host-1', mesh.tokens.agent);
const web = signSet(mesh, [
  registration('web', WEB, { dnsNames: ['web.shop.svc'] }),
  registration('orders', ['unix:uid:1001'], { ttl: '10m' }),
]);
const firstAck = await control.send(web);

after(async () => {
  for (const caller of [operator, agent]) caller.client.close();
  await ca.close();
  await control.close();
  mesh.remove();
});

test('an agent gets the identity of the process it attested, verifiable and in the log', async () => {
  assert.deepEqual(
    firstAck.enforced.map(({ namespace, number }) => `${namespace}@${number}`),
    ['shop@1'],
  );
  const svid = await request(agent, '/ns/shop/sa/web', [...WEB, 'unix:gid:1000']);
  const peer = verified(svid);
  assert.equal(peer.id.text, `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`);
  const leaf = new X509Certificate(svid.chain[0] ?? new Uint8Array());
  assert.match(leaf.subjectAltName ?? '', /DNS:web\.shop\.svc/);
  const lifetime = Number(svid.expiresAtMs) - mesh.clock.nowMs;
  assert.ok(lifetime > 3_590_000 && lifetime <= 3_600_000, `${lifetime}`);
  const [entry] = await readLog(Number(svid.logNumber) - 1);
  assert.equal(entry?.hash, svid.logHash);
  assert.equal(entry?.spiffeId, peer.id.text);
  assert.equal(entry?.serial, peer.serial);
  assert.equal(entry?.allowedBy, 'shop@1');
  assert.equal(entry?.requestedBy, `spiffe://${TRUST_DOMAIN}/palisade/agent/host-1`);
  assert.equal(entry?.certificateSha256, sha256(svid.chain[0]));
});

test('an identity says what it stands on, in the certificate and in the log', async () => {
  const own = verified(agent.svid);
  assert.equal(own.attestation, 'token');
  const process = await request(agent, '/ns/shop/sa/web', WEB);
  assert.equal(verified(process).attestation, 'process');
  const [entry] = await readLog(Number(process.logNumber) - 1);
  assert.equal(entry?.attestation, 'process');
  assert.ok(entry?.selectors.includes('agent:id:/palisade/agent/host-1'), entry?.selectors.join());
});

test('attack: an agent that claims what only the authority finds out of hosts', async () => {
  const claims = [...WEB, 'tpm:ek-sha256:00', 'agent:id:/palisade/agent/host-2'];
  const svid = await request(agent, '/ns/shop/sa/web', claims);
  const [entry] = await readLog(Number(svid.logNumber) - 1);
  assert.deepEqual(
    entry?.selectors.filter((each) => claims.includes(each)),
    [...WEB],
  );
  assert.equal(verified(svid).attestation, 'process');
});

test('the lifetime is what the registration says', async () => {
  const svid = await request(agent, '/ns/shop/sa/orders', ['unix:uid:1001']);
  const lifetime = Number(svid.expiresAtMs) - mesh.clock.nowMs;
  assert.ok(lifetime > 590_000 && lifetime <= 600_000, `${lifetime}`);
});

test('many requests at once are all logged, in one chain that the log key signs', async () => {
  const many = Array.from({ length: 20 }, () => request(agent, '/ns/shop/sa/web', WEB));
  const numbers = (await Promise.all(many)).map(({ logNumber }) => logNumber);
  assert.equal(new Set(numbers).size, 20);
  const entries = (await readLog(0)).map(fromWire);
  const signedHead = { envelope: ca.logHead(), logKey: mesh.trustRoot.issuanceLogKey };
  const checked = verifyIssuanceLog(entries, { signedHead });
  assert.ok(checked.ok, checked.ok ? '' : checked.error.message);
  assert.equal(checked.value.number, entries.length);
});

test('enrolled processes renew themselves', async () => {
  const svid = await request(agent, '/palisade/agent/host-1', []);
  assert.equal(verified(svid).id.path, '/palisade/agent/host-1');
  assert.equal(
    verified(await request(operator, '/palisade/control', [])).id.path,
    '/palisade/control',
  );
});

test('an agent asking for what it may not have is told which registration is missing', async () => {
  const denied = (caller: TestCaller, path: string, selectors: string[], pattern: RegExp) =>
    refused(request(caller, path, selectors), status.PERMISSION_DENIED, pattern);
  await denied(
    agent,
    '/ns/shop/sa/web',
    ['unix:uid:1000'],
    /`shop\/web` gives .* `palisade:service:shop\/web`/,
  );
  await denied(agent, '/ns/shop/sa/web', [], /`unix:uid:1000`/);
  await denied(agent, '/ns/shop/sa/payments', WEB, /no signed Registration gives .*payments/);
  await denied(agent, '/palisade/agent/host-2', WEB, /of the mesh itself/);
  await denied(agent, '/palisade/control', WEB, /of the mesh itself/);
  await denied(agent, '/palisade/ca', WEB, /of the mesh itself/);
  await denied(operator, '/ns/shop/sa/web', WEB, /may renew only itself/);
});

test('a workload does not renew itself with its own certificate', async () => {
  const { csr, privateKeyPem } = csrOf('/ns/shop/sa/web');
  const svid = await agent.client.unary(Issuance.method.issueX509Svid, { csr, selectors: WEB });
  const chainPem = new X509Certificate(svid.chain[0] ?? new Uint8Array()).toString();
  const client = clientOf(mesh, ca.port, { chainPem, privateKeyPem });
  const workload = { client, chainPem, privateKeyPem, svid };
  await refused(request(workload, '/ns/shop/sa/web', WEB), status.PERMISSION_DENIED, /no agent/);
  await refused(readLog(0, workload), status.PERMISSION_DENIED, /may not read/);
  client.close();
});

test('a join token opens one role only, and a wrong one nothing', async () => {
  const { agent: forAgents, control: forControl } = mesh.tokens;
  const tries: [string, string, number, RegExp][] = [
    ['/palisade/control', forAgents, status.PERMISSION_DENIED, /join token is for .*agent/],
    ['/palisade/agent/x', forControl, status.PERMISSION_DENIED, /join token is for .*control/],
    ['/palisade/ca', forAgents, status.PERMISSION_DENIED, /join token is for/],
    ['/palisade/agent/x/y', forAgents, status.PERMISSION_DENIED, /join token is for/],
    ['/ns/shop/sa/web', forAgents, status.PERMISSION_DENIED, /join token is for/],
    ['/palisade/agent/x', 'a'.repeat(43), status.UNAUTHENTICATED, /not one of/],
    ['/palisade/agent/x', '', status.UNAUTHENTICATED, /not one of/],
  ];
  for (const [path, token, code, pattern] of tries) {
    await refused(enrol(mesh, ca.port, path, token), code, pattern);
  }
});

test('hostile CSRs: of another trust domain, with another key, garbage, and much of it', async () => {
  const { csr: foreign } = csrOf('/ns/shop/sa/web', 'evil.example');
  await refused(issue(agent, foreign), status.PERMISSION_DENIED, /trust domain/);
  const { csr } = csrOf('/ns/shop/sa/web');
  const spki = csrOf('/x').keys.publicKey.export({ type: 'spki', format: 'der' });
  const own = Buffer.from(csr);
  // The victim's key in place of the requester's: the signature no longer is that key's.
  const at = own.indexOf(spki.subarray(0, 26));
  assert.ok(at > 0);
  spki.copy(own, at);
  await refused(issue(agent, own), status.INVALID_ARGUMENT, /CSR/);
  for (const bytes of [Buffer.alloc(0), Buffer.from('garbage'), Buffer.alloc(100_000, 48)]) {
    await refused(issue(agent, bytes), status.INVALID_ARGUMENT, /CSR/);
  }
  const { csr: good } = csrOf('/ns/shop/sa/web');
  const selectors = Array(129).fill('unix:uid:1');
  await refused(issue(agent, good, selectors), status.INVALID_ARGUMENT, /selectors/);
});

test('without a certificate there is enrolment and nothing else', async () => {
  const client = clientOf(mesh, ca.port);
  const anonymous = { ...agent, client };
  await refused(request(anonymous, '/ns/shop/sa/web', WEB), status.UNAUTHENTICATED, /enrol/);
  await refused(readLog(0, anonymous), status.UNAUTHENTICATED, /enrol/);
  client.close();
});

test('a certificate of another authority is no certificate', async () => {
  const other = createTestMesh();
  const otherCa = await other.startCa();
  const foreign = await enrol(other, otherCa.port, '/palisade/agent/host-1', other.tokens.agent);
  foreign.client.close();
  const client = clientOf(mesh, ca.port, foreign);
  const impostor = { ...foreign, client };
  await refused(request(impostor, '/ns/shop/sa/web', WEB), status.UNAUTHENTICATED, /not accepted/);
  client.close();
  await otherCa.close();
  other.remove();
});

test('a client certificate that expired meanwhile ends at the next call', async () => {
  const late = await enrol(mesh, ca.port, '/palisade/agent/late', mesh.tokens.agent);
  await request(late, '/palisade/agent/late', []);
  const nowMs = mesh.clock.nowMs;
  mesh.clock.nowMs = nowMs + 25 * 3_600_000;
  try {
    await refused(request(late, '/palisade/agent/late', []), status.UNAUTHENTICATED, /expired/);
    late.client.close();
    const again = { ...late, client: clientOf(mesh, ca.port, late) };
    await refused(request(again, '/palisade/agent/late', []), status.UNAUTHENTICATED, /expired/);
    again.client.close();
  } finally {
    mesh.clock.nowMs = nowMs;
  }
});

test('forged: registrations the control plane signed itself, changed, or took from another namespace', async () => {
  const { signer: own } = strangerKey();
  const evil = [registration('web', ['unix:uid:666'])];
  const parent = web.head;
  const unsigned = signSet(mesh, evil, { parent, signer: own });
  await refusesUpdate(unsigned, 'signature_threshold');
  const stripped = { ...unsigned, commits: [{ ...unsigned.head.envelope, signatures: [] }] };
  await refusesUpdate(stripped, 'signature_threshold');
  const genuine = signSet(mesh, [registration('web', WEB)], { parent });
  const changes = [{ key: 'Registration/web', resource: registration('web', ['unix:uid:666']) }];
  await refusesUpdate({ ...genuine, changes }, 'root_mismatch');
  await refusesUpdate({ ...genuine, namespace: 'bank' }, 'wrong_namespace');
  const garbage = { namespace: 'shop', full: true, commits: [Buffer.from('{')], changes: [] };
  await refusesUpdate(garbage, 'malformed');
  await refused(
    request(agent, '/ns/shop/sa/web', ['unix:uid:666']),
    status.PERMISSION_DENIED,
    /web/,
  );
  assert.equal(verified(await request(agent, '/ns/shop/sa/web', WEB)).id.serviceAccount, 'web');
});

test('escalation: what a namespace signs gives neither the identities of another nor those of the mesh', async () => {
  const give = (name: string, path: string) =>
    registration(name, ['unix:uid:5'], { spiffeId: `spiffe://${TRUST_DOMAIN}${path}` });
  const greedy = signSet(
    mesh,
    [give('a', '/ns/shop/sa/web'), give('b', '/palisade/control'), give('c', '/ns/mine/sa/c')],
    { namespace: 'mine' },
  );
  const ack = await control.send(greedy);
  assert.ok(ack.enforced.some(({ namespace }) => namespace === 'mine'));
  const selectors = ['unix:uid:5'];
  await refused(request(agent, '/ns/shop/sa/web', selectors), status.PERMISSION_DENIED, /shop/);
  await refused(request(agent, '/palisade/control', selectors), status.PERMISSION_DENIED, /mesh/);
  assert.equal(verified(await request(agent, '/ns/mine/sa/c', selectors)).id.namespace, 'mine');
});

test('a request that comes before its registration waits for it', async () => {
  const patient = await mesh.startCa({ control: control.address, patienceMs: 5000 });
  const caller = await enrol(mesh, patient.port, '/palisade/agent/early', mesh.tokens.agent);
  const asked = request(caller, '/ns/late/sa/late', ['unix:uid:7']);
  await control.subscribed(2);
  const spiffeId = `spiffe://${TRUST_DOMAIN}/ns/late/sa/late`;
  const late = registration('late', ['unix:uid:7'], { spiffeId });
  await control.send(signSet(mesh, [late], { namespace: 'late' }));
  assert.equal(verified(await asked).id.serviceAccount, 'late');
  caller.client.close();
  await patient.close();
});

test('garbage on the port ends that connection and nothing else', async () => {
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    '\0'.repeat(5000),
    '\x16\x03\x01\xff\xff'.repeat(99),
  ]) {
    const socket = connect(ca.port, '127.0.0.1', () => socket.end(bytes, 'latin1'));
    socket.resume();
    await new Promise<void>((resolve) => {
      socket.on('error', () => resolve()).on('close', () => resolve());
    });
  }
  assert.equal(verified(await request(agent, '/ns/shop/sa/web', WEB)).id.serviceAccount, 'web');
});

test('whoever asks without end is told to wait', async () => {
  const slow = await mesh.startCa({ rateLimit: { burst: 3, perSecond: 1 } });
  const caller = await enrol(mesh, slow.port, '/palisade/agent/busy', mesh.tokens.agent);
  for (let i = 0; i < 3; i++) await request(caller, '/palisade/agent/busy', []);
  const oneMore = request(caller, '/palisade/agent/busy', []);
  await refused(oneMore, status.RESOURCE_EXHAUSTED, /try again/);
  caller.client.close();
  await slow.close();
});

test('one identity is given so often only, and others are not kept waiting for it', async () => {
  const slow = await mesh.startCa({ identityRateLimit: { burst: 2, perSecond: 0.01 } });
  const busy = await enrol(mesh, slow.port, '/palisade/agent/busy', mesh.tokens.agent);
  const calm = await enrol(mesh, slow.port, '/palisade/agent/calm', mesh.tokens.agent);
  for (let i = 0; i < 2; i++) await request(busy, '/palisade/agent/busy', []);
  const oneMore = request(busy, '/palisade/agent/busy', []);
  await refused(oneMore, status.RESOURCE_EXHAUSTED, /busy` is asked for too often/);
  await request(calm, '/palisade/agent/calm', []);
  busy.client.close();
  calm.client.close();
  await slow.close();
});

test('every file of the authority is its owner’s alone', () => {
  for (const name of [
    'ca.key',
    'ca.crt',
    'log.key',
    'join-token-agent',
    'join-token-control',
    'ca.db',
    'ca.db-wal',
  ]) {
    assert.equal(statSync(join(mesh.folder, name)).mode & 0o777, 0o600, name);
  }
});

function request(caller: TestCaller, path: string, selectors: string[]): Promise<X509SvidResponse> {
  return issue(caller, csrOf(path).csr, selectors);
}

function issue(caller: TestCaller, csr: Uint8Array, selectors: string[] = WEB) {
  return caller.client.unary(Issuance.method.issueX509Svid, {
    csr: new Uint8Array(csr),
    selectors,
  });
}

async function refused(call: Promise<unknown>, code: number, pattern: RegExp): Promise<void> {
  await assert.rejects(call, (error: { code: number; details: string }) => {
    assert.equal(error.code, code, error.details);
    assert.match(error.details, pattern);
    return true;
  });
}

async function refusesUpdate(
  update: Parameters<typeof control.send>[0],
  code: string,
): Promise<void> {
  const ack = await control.send(update);
  assert.equal(ack.refused.find(({ namespace }) => namespace === update.namespace)?.code, code);
  const shop = ack.enforced.find(({ namespace }) => namespace === 'shop');
  assert.equal(shop?.hash, web.head.hash, 'what was enforced stays');
}

function verified(svid: X509SvidResponse) {
  const name = parseTrustDomain(TRUST_DOMAIN);
  assert.ok(name.ok);
  const bundle = parseBundle(name.value, mesh.rootPem);
  assert.ok(bundle.ok);
  const peer = verifyX509Svid(svid.chain, bundle.value, mesh.clock.nowMs);
  assert.ok(peer.ok, peer.ok ? '' : peer.error.message);
  assert.deepEqual(
    svid.roots.map(sha256),
    mesh.trustRoot.x509Roots.map((r) => sha256(Buffer.from(r, 'base64'))),
  );
  return peer.value;
}

async function readLog(after: number, caller: TestCaller = operator): Promise<WireEntry[]> {
  const page = await caller.client.unary(Issuance.method.readLog, { after: BigInt(after) });
  return page.entries;
}

function fromWire(entry: WireEntry): LogEntry {
  const { $typeName: _, kind, audience, attestation, number, timeMs, expiresAtMs, ...rest } = entry;
  return {
    ...(kind === 'jwt' ? { kind, audience } : {}),
    ...(isAttestationStrength(attestation) ? { attestation } : {}),
    ...rest,
    number: Number(number),
    timeMs: Number(timeMs),
    expiresAtMs: Number(expiresAtMs),
  };
}

function strangerKey() {
  const signer = loadSigner(createPolicyKey().privateKeyPem);
  assert.ok(signer.ok);
  return { signer: signer.value };
}

function sha256(bytes: Uint8Array | undefined): string {
  return createHash('sha256')
    .update(bytes ?? '')
    .digest('hex');
}
