import assert from 'node:assert/strict';
import { createPrivateKey, type KeyObject } from 'node:crypto';
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
import { initializeCa } from './initialize.ts';
import { openIssuers, serialOf } from './issuers.ts';
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

/** Issuers of a mesh below an upstream, its clock and trust root in the test's hands. */
function heldBelow(upstream: UpstreamFiles, more: { readonly keyDevice?: KeyDevice } = {}) {
  const mesh = createTestMesh(undefined, { upstream, ...more });
  const state = { nowMs: Date.now(), trustRoot: mesh.trustRoot, revoked: new Set<string>() };
  const clock = () => state.nowMs;
  const issuers = openIssuers({
    folder: mesh.folder,
    keys: createKeyStore({ device: more.keyDevice }),
    upstream: openUpstreamFiles(upstream, { trustDomain: TD, clock }),
    isRevoked: (serial) => state.revoked.has(serial),
    trustRoot: () => state.trustRoot,
    clock,
    log: createSilentLog(),
  });
  const keyFiles = () =>
    [...readdirSync(mesh.folder), ...readdirSync(join(mesh.folder, 'issuers'))].filter((name) =>
      /^(?:ca|[0-9a-f]{32})\.key$/.test(name),
    ).length;
  return { mesh, state, issuers, keyFiles };
}

test('an upstream that is away for long costs one key of the device, not one for each attempt', () => {
  const upstream = writeUpstream('away');
  const device = fakeDevice();
  const { mesh, state, issuers } = heldBelow(upstream, { keyDevice: device });
  const key = readFileSync(upstream.key);
  rmSync(upstream.key);
  state.nowMs += 0.6 * INTERMEDIATE_TTL_MS;
  for (let i = 0; i < 5; i++) assert.throws(() => issuers.refresh(), /away\.key` cannot be read/);
  assert.equal(device.made(), 2);
  writeFileSync(upstream.key, key);
  const before = issuers.active();
  issuers.refresh();
  assert.notEqual(issuers.active(), before);
  assert.equal(device.made(), 2);
  mesh.remove();
});

test('an authority starts while its upstream is away, and says what is wrong', async () => {
  const upstream = writeUpstream('away-at-start');
  const mesh = createTestMesh(undefined, { upstream });
  for (const file of [upstream.key, upstream.certificate]) rmSync(file);
  const errors: unknown[] = [];
  const log = { ...createSilentLog(), error: (...about: unknown[]) => errors.push(about) };
  const ca = await mesh.startCa({ upstream, log: log as never });
  await ca.close();
  assert.match(
    JSON.stringify(errors, (_, value) => (value instanceof Error ? value.message : value)),
    /away-at-start\.crt` cannot be read/,
  );
  mesh.remove();
});

test('an upstream with another root is no reason to make an intermediate a turn, and is what a rotation moves below', () => {
  const upstream = writeUpstream('first');
  const { mesh, state, issuers, keyFiles } = heldBelow(upstream);
  const other = writeUpstream('second');
  for (const part of ['certificate', 'key'] as const) {
    writeFileSync(upstream[part], readFileSync(other[part]));
  }
  state.nowMs += 0.6 * INTERMEDIATE_TTL_MS;
  for (let i = 0; i < 3; i++) issuers.refresh();
  assert.equal(keyFiles(), 1);
  assert.deepEqual(
    issuers.lives().map(({ origin }) => origin),
    ['left'],
  );
  const next = Buffer.from(issuers.next().rootDer).toString('base64');
  assert.equal(derToPem(issuers.next().rootDer), readFileSync(other.certificate, 'utf8'));
  state.trustRoot = { ...state.trustRoot, version: 2, x509Roots: [next] };
  issuers.settle();
  const first = issuers.active();
  state.nowMs += 0.6 * INTERMEDIATE_TTL_MS;
  issuers.refresh();
  assert.notEqual(issuers.active(), first, 'renewed below the root of now');
  mesh.remove();
});

test('near the end of its upstream, which cuts all alike, the newer intermediate is the one', () => {
  const upstream = writeUpstream('ending', 2 * DAY_MS);
  const { mesh, state, issuers, keyFiles } = heldBelow(upstream);
  const first = issuers.active();
  state.nowMs += 1.1 * DAY_MS;
  issuers.refresh();
  const second = issuers.active();
  assert.notEqual(second, first);
  for (let i = 0; i < 5; i++) {
    state.nowMs += 30_000;
    issuers.refresh();
  }
  assert.equal(issuers.active(), second);
  assert.equal(keyFiles(), 2, 'no further one at each turn');
  mesh.remove();
});

test('what an upstream signs and nobody would take is not kept, and is said why', () => {
  const upstream = writeUpstream('over', 2 * DAY_MS);
  const { mesh, state, issuers, keyFiles } = heldBelow(upstream);
  state.nowMs += 3 * DAY_MS;
  assert.throws(() => issuers.refresh(), /what was signed for the authority's key: .*expired/);
  assert.equal(keyFiles(), 1);
  mesh.remove();
});

test('a first start below an upstream that cannot have authorities below it succeeds once that is mended', () => {
  const upstream = writeUpstream('mended');
  const good = readFileSync(upstream.certificate);
  writeFileSync(upstream.certificate, readFileSync(writeUpstream('mended-other').certificate));
  const into = join(folder, 'mended');
  const options = { folder: into, trustDomain: TRUST_DOMAIN, nowMs: Date.now(), upstream };
  assert.throws(() => initializeCa(options), /mended/);
  writeFileSync(upstream.certificate, writeExpired(upstream));
  assert.throws(() => initializeCa(options), /expired/);
  writeFileSync(upstream.certificate, good);
  assert.equal(initializeCa(options).rootPem, good.toString());
});

/** A root of the upstream's key that ended an hour ago, PEM. */
function writeExpired({ key }: UpstreamFiles): string {
  const signing = createSigningKey(createPrivateKey(readFileSync(key)));
  assert.ok(signing !== undefined);
  const nowMs = Date.now() - 2 * 3_600_000;
  return createRoot({ trustDomain: TD, nowMs, ttlMs: 3_600_000, key: signing }).certificatePem;
}

test('below a root that stays the next issuer is another intermediate, one a minute at most', () => {
  const { mesh, state, issuers, keyFiles } = heldBelow(writeUpstream('staying'));
  const first = issuers.active();
  state.nowMs += 3_600_000;
  const second = issuers.next();
  assert.notEqual(second, first);
  assert.equal(issuers.active(), second);
  assert.deepEqual(issuers.trusted(), [second, first]);
  // Attack: whoever is the control plane asks without end.
  for (let i = 0; i < 10; i++) assert.equal(issuers.next(), second);
  assert.equal(keyFiles(), 2);
  mesh.remove();
});

test('an intermediate that was revoked signs no more, and its upstream signs another', () => {
  const { mesh, state, issuers } = heldBelow(writeUpstream('revoking'));
  const first = issuers.active();
  state.revoked.add(serialOf(first));
  assert.throws(() => issuers.active(), /was revoked/);
  issuers.refresh();
  assert.notEqual(issuers.active(), first);
  assert.ok(!issuers.trusted().includes(first));
  assert.ok(!existsSync(join(mesh.folder, 'ca.key')), 'its key is gone');
  mesh.remove();
});

/** A device in memory that can be taken away. */
function fakeDevice(): KeyDevice & { isAway: boolean; readonly made: () => number } {
  const keys: KeyObject[] = [];
  const device = {
    kind: 'fake',
    isAway: false,
    made: () => keys.length,
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
