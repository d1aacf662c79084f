import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { type Issuer, loadIssuer, loadSigningKey } from '#identity';
import { createSilentLog, EVENT } from '#telemetry';
import { encodeEnvelope, signRevocation, signTrustRoot, verifyIssuanceLog } from '#trust';
import { Issuance } from '#wire';
import { caFolder } from './ca-folder.ts';
import { openDatabase } from './database.ts';
import {
  clientOf,
  createTestMesh,
  csrOf,
  enrol,
  registration,
  signSet,
  startFakeControl,
  TRUST_DOMAIN,
} from './fixtures.ts';
import { initializeCa } from './index.ts';
import { openIssuanceLog } from './issuance-log.ts';
import { createIssue } from './issue.ts';
import { createOwnIdentity } from './own-identity.ts';
import { openPolicy } from './policy.ts';

const WEB = ['unix:uid:1000'];
const mesh = createTestMesh();
after(() => mesh.remove());

test('first run makes the keys, later runs keep them', () => {
  const before = readdirSync(mesh.folder).map((name) =>
    readFileSync(join(mesh.folder, name), 'utf8'),
  );
  const again = initializeCa({
    folder: mesh.folder,
    trustDomain: TRUST_DOMAIN,
    nowMs: Date.now(),
  });
  assert.equal(again.rootPem, mesh.rootPem);
  const after = readdirSync(mesh.folder).map((name) =>
    readFileSync(join(mesh.folder, name), 'utf8'),
  );
  assert.deepEqual(after, before);
});

test('tainted, and the disk does not take the new keys of tokens: it starts, says so, and keeps the revocation', async () => {
  const tainted = createTestMesh();
  const issuer = tainted.author.keyId;
  const about = { trustDomain: TRUST_DOMAIN, issuer, number: 1, parent: null, author: 'author' };
  await (await tainted.startCa()).close();
  tainted.clock.nowMs += 1_000;
  const time = new Date(tainted.clock.nowMs).toISOString();
  const envelope = signRevocation(
    {
      ...about,
      time,
      target: { kind: 'all', issuedBefore: time },
      act: { kind: 'revoke', reason: '', until: null },
    },
    [tainted.author],
  );
  const { revocations, jwtKeys } = caFolder(tainted.folder);
  writeFileSync(revocations, `${JSON.stringify(envelope)}\n`);
  // Where the new keys would be written first.
  mkdirSync(`${jwtKeys}.new`);
  const errors: unknown[] = [];
  const log = { ...createSilentLog(), error: (event: string) => errors.push(event) };
  const ca = await tainted.startCa({ log: log as never });
  await ca.close();
  assert.deepEqual(errors, [EVENT.stateWriteFailed]);
  tainted.remove();
});

test('after a restart without the control plane it still knows the registrations and goes on with its log', async () => {
  const starter = await mesh.startCa();
  const control = await startFakeControl(mesh, starter);
  await starter.close();
  const first = await mesh.startCa({ control: control.address });
  await control.subscribed();
  await control.send(signSet(mesh, [registration('web', WEB)]));
  await first.close();
  await control.close();

  const second = await mesh.startCa({ control: control.address });
  assert.equal(second.health().policySets, 1);
  assert.equal(second.health().ready, true);
  const agent = await enrol(mesh, second.port, '/palisade/agent/host', mesh.tokens.agent);
  const { csr } = csrOf('/ns/shop/sa/web');
  await agent.client.unary(Issuance.method.issueX509Svid, { csr, selectors: WEB });

  // The control plane comes back where it was, and is told what is known already.
  const port = Number(control.address.split(':')[1]);
  const back = await startFakeControl(mesh, second, port);
  await back.subscribed();
  assert.deepEqual(
    back.hellos[0]?.known.map(({ namespace, number }) => `${namespace}@${number}`),
    ['shop@1'],
  );
  agent.client.close();
  await back.close();
  await second.close();
  const database = openDatabase(join(mesh.folder, 'ca.db'));
  const entries = openIssuanceLog(database).read(0, 1000);
  database.close();
  const verified = verifyIssuanceLog(entries);
  assert.ok(verified.ok);
  assert.ok(verified.value.number >= 6);
});

test('a set on disk that was edited is left out, and an older one is not accepted in its place', () => {
  const database = openDatabase(':memory:');
  const options = {
    database,
    trustRoot: mesh.trustRoot,
    clock: () => mesh.clock.nowMs,
    log: createSilentLog(),
  };
  const one = signSet(mesh, [registration('web', WEB)]);
  const two = signSet(mesh, [registration('web', ['unix:uid:2'])], { parent: one.head });
  const policy = openPolicy(options);
  assert.ok(policy.apply(one).ok);
  assert.ok(policy.apply({ ...two, full: true }).ok);
  database.exec(`UPDATE policy_set SET set_json = replace(set_json, 'unix:uid:2', 'unix:uid:3')`);

  const reopened = openPolicy(options);
  assert.equal(reopened.sets().length, 0);
  assert.equal(reopened.registrationsOf(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`).length, 0);
  const rolledBack = reopened.apply(one);
  assert.equal(rolledBack.ok ? '' : rolledBack.error.code, 'version_rollback');
  assert.ok(reopened.apply(two).ok);
  database.close();
});

test('a trust root in which a key was withdrawn takes its policy with it at the next start', () => {
  const database = openDatabase(':memory:');
  const other = createTestMesh();
  const options = {
    database,
    trustRoot: mesh.trustRoot,
    clock: () => mesh.clock.nowMs,
    log: createSilentLog(),
  };
  const policy = openPolicy(options);
  assert.ok(policy.apply(signSet(mesh, [registration('web', WEB)])).ok);
  const next = { ...mesh.trustRoot, version: 2, policyKeys: other.trustRoot.policyKeys };
  const envelope = signTrustRoot(next, [mesh.author, other.author]);
  const forged = signTrustRoot(next, [other.author]);
  const refused = policy.succeed(forged);
  assert.equal(refused.ok ? '' : refused.error.code, 'signature_threshold');
  assert.ok(policy.succeed(envelope).ok);
  assert.equal(policy.sets().length, 1, 'what is enforced stays');
  const reopened = openPolicy(options);
  assert.equal(reopened.trustRoot().version, 2);
  assert.equal(reopened.sets().length, 0);
  other.remove();
  database.close();
});

test('newer policy counts even where the disk takes no more', () => {
  const database = openDatabase(':memory:');
  const policy = openPolicy({
    database,
    trustRoot: mesh.trustRoot,
    clock: () => mesh.clock.nowMs,
    log: createSilentLog(),
  });
  const one = signSet(mesh, [registration('web', WEB)]);
  assert.ok(policy.apply(one).ok);
  database.exec('PRAGMA max_page_count = 1');
  const padded = registration('other', [`unix:path:/${'x'.repeat(4000)}`, ...WEB]);
  const two = signSet(mesh, [padded], { parent: one.head });
  assert.ok(policy.apply(two).ok);
  assert.equal(policy.registrationsOf(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`).length, 0);
  const stored = database.prepare('SELECT number FROM policy_set').get();
  assert.equal(stored?.['number'], 1, 'the disk was full indeed');
  database.close();
});

test('a full disk issues nothing and says so', async () => {
  const database = openDatabase(':memory:');
  const issuer = issuerOf(mesh.folder);
  const issuanceLog = openIssuanceLog(database);
  const issue = createIssue({ issuer, issuanceLog, clock: Date.now, log: createSilentLog() });
  database.exec('PRAGMA max_page_count = 1');
  const { keys } = csrOf('/x');
  const grant = {
    id: { text: 'spiffe://example.org/ns/shop/sa/web' } as never,
    publicKeyDer: keys.publicKey.export({ type: 'spki', format: 'der' }),
    ttlMs: 1000,
    dnsNames: [],
    selectors: ['x'.repeat(100_000)],
    attestation: 'process' as const,
    requestedBy: '',
    allowedBy: 'test',
  };
  const issued = await issue.issue(grant);
  assert.equal(issued.ok ? '' : issued.error.status, 'unavailable');
  assert.equal(issuanceLog.head().number, 0);
  database.close();
});

test('the authority renews its own certificate at half its time, and logs it', () => {
  const database = openDatabase(':memory:');
  const issuer = issuerOf(mesh.folder);
  const issuanceLog = openIssuanceLog(database);
  let nowMs = Date.parse('2026-05-01T12:00:00.000Z');
  const clock = () => nowMs;
  const log = createSilentLog();
  const issue = createIssue({ issuer, issuanceLog, clock, log });
  const roots = [mesh.rootPem];
  const identity = createOwnIdentity({
    issue,
    trustDomain: TRUST_DOMAIN,
    rootsPem: () => roots,
    clock,
    log,
  });
  const serial = identity.serial();
  const material = identity.material();
  nowMs += 11.9 * 3_600_000;
  assert.equal(identity.renewIfDue(), false);
  assert.equal(identity.material(), material);
  nowMs += 0.2 * 3_600_000;
  assert.equal(identity.renewIfDue(), true);
  assert.notEqual(identity.serial(), serial);
  assert.notEqual(identity.material(), material);
  // The clock was an hour ahead when it issued the last one.
  nowMs -= 3_600_000;
  assert.equal(identity.renewIfDue(), true);
  assert.equal(identity.renewIfDue(), false);
  assert.equal(issuanceLog.head().number, 3);
  database.close();
});

test('a folder or trust root that is not this authority’s does not start, and says which', async () => {
  const other = createTestMesh();
  await assert.rejects(mesh.startCa({ trustRootFile: other.trustRootFile }), /authority's log key/);
  await assert.rejects(mesh.startCa({ trustDomain: 'other.org' }), /trust domain/);
  await assert.rejects(mesh.startCa({ folder: join(mesh.folder, 'nowhere') }), /cannot be read/);
  const forged = { ...other.trustRoot, threshold: 1 };
  writeFileSync(other.trustRootFile, encodeEnvelope(signTrustRoot(forged, [mesh.author])));
  await assert.rejects(other.startCa(), /signatures/);
  writeFileSync(join(other.folder, 'join-token-agent'), '\n');
  await assert.rejects(other.startCa(), /join token/);
  other.remove();
});

test('a taken port is an error and leaves the folder usable', async () => {
  const first = await mesh.startCa();
  const listen = { host: '127.0.0.1', port: first.port };
  await assert.rejects(mesh.startCa({ listen }), { code: 'EADDRINUSE' });
  const client = clientOf(mesh, first.port);
  const { csr } = csrOf('/palisade/agent/a');
  const wrong = client.unary(Issuance.method.enrol, { joinToken: 'x', csr });
  await assert.rejects(wrong, { code: status.UNAUTHENTICATED });
  client.close();
  await first.close();
});

function issuerOf(folder: string): () => Issuer {
  const { certificate, key } = caFolder(folder);
  const signing = loadSigningKey(readFileSync(key, 'utf8'));
  assert.ok(signing.ok);
  const issuer = loadIssuer(readFileSync(certificate, 'utf8'), signing.value);
  assert.ok(issuer.ok);
  return () => issuer.value;
}
