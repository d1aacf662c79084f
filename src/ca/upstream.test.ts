import assert from 'node:assert/strict';
import type { KeyObject } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import {
  createKeyPair,
  createRoot,
  createSigningKey,
  derToPem,
  parseBundle,
  parseTrustDomain,
  type TrustDomain,
  verifyX509Svid,
} from '#identity';
import { createSilentLog } from '#telemetry';
import type { TrustRoot } from '#trust';
import { createTestMesh, enrol, type TestMesh, TRUST_DOMAIN } from './fixtures.ts';
import { openIssuers } from './issuers.ts';
import { signDigest } from './keys/fake-ecdsa.ts';
import type { KeyDevice } from './keys/key-device.ts';
import { createKeyStore } from './keys/key-store.ts';
import { openPkcs11Device } from './keys/pkcs11-device.ts';
import { createSoftHsm, softHsmMissing } from './keys/soft-hsm.ts';
import { INTERMEDIATE_TTL_MS, openUpstreamFiles, type UpstreamFiles } from './upstream.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-upstream-'));
after(() => rmSync(folder, { recursive: true }));
const parsed = parseTrustDomain(TRUST_DOMAIN);
assert.ok(parsed.ok);
const TD: TrustDomain = parsed.value;
const DAY_MS = 24 * 3_600_000;

/** A root of some other system, with its key. */
function writeUpstream(name: string, ttlMs = 3650 * DAY_MS): UpstreamFiles {
  const { privateKey } = createKeyPair();
  const key = createSigningKey(privateKey);
  assert.ok(key !== undefined);
  const root = createRoot({ trustDomain: TD, nowMs: Date.now(), ttlMs, commonName: name, key });
  const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  writeFileSync(files.certificate, root.certificatePem);
  writeFileSync(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return files;
}

async function enrolled(mesh: TestMesh): Promise<readonly Uint8Array[]> {
  const ca = await mesh.startCa();
  try {
    const agent = await enrol(mesh, ca.port, '/palisade/agent/host', mesh.tokens.agent);
    agent.client.close();
    return agent.svid.chain;
  } finally {
    await ca.close();
  }
}

test('below another authority, SVIDs come with the intermediate and lead to its root', async () => {
  const upstream = writeUpstream('corporate');
  const mesh = createTestMesh(undefined, { upstream });
  assert.equal(mesh.rootPem, readFileSync(upstream.certificate, 'utf8'));
  const chain = await enrolled(mesh);
  assert.equal(chain.length, 2);
  const bundle = parseBundle(TD, mesh.rootPem);
  assert.ok(bundle.ok && verifyX509Svid(chain, bundle.value, Date.now()).ok);
  mesh.remove();
});

test('the keys on a token, sealed secrets, below another authority: it all starts again', {
  skip: softHsmMissing,
}, async () => {
  const hsm = createSoftHsm();
  process.env['SOFTHSM2_CONF'] = hsm.env.SOFTHSM2_CONF;
  const keyDevice = openPkcs11Device(hsm);
  const upstream = writeUpstream('with-token');
  const mesh = createTestMesh(undefined, { upstream, keyDevice, passphrase: 'pass' });
  const first = await enrolled(mesh);
  const second = await enrolled(mesh);
  assert.deepEqual(second[1], first[1], 'the intermediate is the one of before');
  for (const name of ['ca.key', 'log.key', 'jwt-keys.json', 'join-token-agent']) {
    const text = readFileSync(join(mesh.folder, name), 'utf8');
    assert.equal(JSON.parse(text).sealed, 'scrypt-aes-256-gcm', name);
  }
  await assert.rejects(mesh.startCa({ keyDevice: undefined }), /lies on a device \(pkcs11\)/);
  keyDevice.close();
  mesh.remove();
  hsm.remove();
});

test('a key device that is away makes requests fail, and works again when it is back', async () => {
  const device = fakeDevice();
  const mesh = createTestMesh(undefined, { keyDevice: device });
  const ca = await mesh.startCa();
  device.isAway = true;
  await assert.rejects(enrol(mesh, ca.port, '/palisade/agent/a', mesh.tokens.agent), {
    code: status.UNAVAILABLE,
    details: "the authority's key cannot sign now",
  });
  device.isAway = false;
  const agent = await enrol(mesh, ca.port, '/palisade/agent/a', mesh.tokens.agent);
  agent.client.close();
  await ca.close();
  mesh.remove();
});

test('an intermediate is signed anew from half of its life on; the old key goes when it has expired', () => {
  const upstream = writeUpstream('renewing');
  const mesh = createTestMesh(undefined, { upstream });
  let nowMs = Date.now();
  const clock = () => nowMs;
  const issuers = openIssuers({
    folder: mesh.folder,
    keys: createKeyStore({}),
    upstream: openUpstreamFiles(upstream, { trustDomain: TD, clock }),
    trustRoot: () => mesh.trustRoot,
    clock,
    log: createSilentLog(),
  });
  const first = issuers.active();
  nowMs += 0.4 * INTERMEDIATE_TTL_MS;
  issuers.refresh();
  assert.equal(issuers.active(), first);
  nowMs += 0.2 * INTERMEDIATE_TTL_MS;
  issuers.refresh();
  const second = issuers.active();
  assert.notDeepEqual(second.certificateDer, first.certificateDer);
  assert.ok(existsSync(join(mesh.folder, 'ca.key')));
  nowMs += 0.45 * INTERMEDIATE_TTL_MS;
  issuers.refresh();
  assert.equal(issuers.active(), second);
  assert.ok(!existsSync(join(mesh.folder, 'ca.key')), 'the key of the expired one');
  // The upstream is away until the last one has expired: nothing is signed that nobody would take.
  nowMs += INTERMEDIATE_TTL_MS;
  assert.throws(() => issuers.active(), /expired at/);
  mesh.remove();
});

test('the upstream becomes the next root, and is issued under once authors have signed it', () => {
  const upstream = writeUpstream('later');
  const mesh = createTestMesh();
  let trustRoot: TrustRoot = mesh.trustRoot;
  const issuers = openIssuers({
    folder: mesh.folder,
    keys: createKeyStore({}),
    upstream: openUpstreamFiles(upstream, { trustDomain: TD, clock: Date.now }),
    trustRoot: () => trustRoot,
    clock: Date.now,
    log: createSilentLog(),
  });
  issuers.refresh();
  const old = issuers.active();
  assert.equal(old.intermediates.length, 0);
  const next = issuers.next();
  assert.equal(derToPem(next.rootDer), readFileSync(upstream.certificate, 'utf8'));
  assert.equal(issuers.next(), next);
  const [oldRoot = ''] = trustRoot.x509Roots;
  const newRoot = Buffer.from(next.rootDer).toString('base64');
  trustRoot = { ...trustRoot, version: 2, x509Roots: [oldRoot, newRoot] };
  issuers.settle();
  assert.equal(issuers.active(), old);
  trustRoot = { ...trustRoot, version: 3, x509Roots: [newRoot, oldRoot] };
  issuers.settle();
  assert.equal(issuers.active(), next);
  trustRoot = { ...trustRoot, version: 4, x509Roots: [newRoot] };
  issuers.settle();
  assert.ok(!existsSync(join(mesh.folder, 'ca.key')), 'the retired key');
  assert.equal(
    readdirSync(join(mesh.folder, 'issuers')).filter((n) => n.endsWith('.key')).length,
    1,
  );
  mesh.remove();
});

test('no intermediate outlives its upstream', () => {
  const upstream = writeUpstream('short', DAY_MS);
  const mesh = createTestMesh(undefined, { upstream });
  const issuers = openIssuers({
    folder: mesh.folder,
    keys: createKeyStore({}),
    trustRoot: () => mesh.trustRoot,
    clock: Date.now,
    log: createSilentLog(),
  });
  assert.ok(issuers.active().expiresAt <= Date.now() + DAY_MS);
  mesh.remove();
});

/** A device in memory that can be taken away. */
function fakeDevice(): KeyDevice & { isAway: boolean } {
  const keys: KeyObject[] = [];
  const device = {
    kind: 'fake',
    isAway: false,
    create() {
      const { privateKey, publicKey } = createKeyPair();
      keys.push(privateKey);
      const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
      return { reference: String(keys.length - 1), publicKeyDer };
    },
    sign(reference: string, digest: Uint8Array) {
      const key = keys[Number(reference)];
      if (device.isAway || key === undefined) throw new Error('nobody answers');
      return signDigest(key, digest);
    },
    signLater: async (reference: string, digest: Uint8Array) => device.sign(reference, digest),
    destroy: () => undefined,
    close: () => undefined,
  };
  return device;
}
