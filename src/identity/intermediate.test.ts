import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseBundle } from './bundle.ts';
import { caExtensions, fakeCertificate, fakeTrustDomain, KEYS, NOW_MS } from './fake-authority.ts';
import {
  createAuthorityCsr,
  decodeSerial,
  issueIntermediate,
  loadIntermediate,
  parseAuthorityCsr,
} from './intermediate.ts';
import { createRoot, type Issuer, issueX509Svid } from './issue.ts';
import { derToPem } from './pem.ts';
import { createKeyPair, createSigningKey, type SigningKey } from './signing-key.ts';
import { workloadSpiffeId } from './spiffe-id.ts';
import { verifyX509Svid } from './verify.ts';

const TD = fakeTrustDomain('example.org');
const DAY_MS = 86_400_000;
const ABOUT = { trustDomain: TD, nowMs: NOW_MS };
const ROOT = createRoot({ trustDomain: TD, nowMs: NOW_MS, ttlMs: 100 * DAY_MS });
const OWN = keyOf('p256');

function keyOf(kind: keyof typeof KEYS): SigningKey {
  const key = createSigningKey(KEYS[kind]);
  assert.ok(key !== undefined);
  return key;
}

function intermediate(ttlMs = 7 * DAY_MS): Uint8Array {
  return issueIntermediate({ issuer: ROOT, publicKeyDer: OWN.publicKeyDer, ttlMs, ...ABOUT });
}

function pem(...ders: readonly Uint8Array[]): string {
  return ders.map((der) => derToPem(der)).join('');
}

function loaded(): Issuer {
  const issuer = loadIntermediate(pem(intermediate(), ROOT.certificateDer), OWN, ABOUT);
  assert.ok(issuer.ok, issuer.ok ? '' : issuer.error);
  return issuer.value;
}

function leafOf(issuer: Issuer, trustDomain = TD): Uint8Array {
  const { publicKey } = createKeyPair();
  return issueX509Svid({
    issuer,
    id: workloadSpiffeId(trustDomain, 'shop', 'web'),
    publicKeyDer: publicKey.export({ type: 'spki', format: 'der' }),
    serial: Buffer.alloc(16, 1),
    notBefore: NOW_MS - 60_000,
    expiresAt: NOW_MS + 3_600_000,
  });
}

test('an authority asks for itself, and proves that it has the key', () => {
  const parsed = parseAuthorityCsr(createAuthorityCsr(OWN, TD));
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error);
  assert.equal(parsed.value.trustDomain, TD);
  assert.deepEqual(Buffer.from(parsed.value.publicKeyDer), Buffer.from(OWN.publicKeyDer));
  const forged = Buffer.from(createAuthorityCsr(OWN, TD));
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
  assert.ok(!parseAuthorityCsr(forged).ok);
});

test('SVIDs under an intermediate verify with it, and not without', () => {
  const issuer = loaded();
  assert.equal(issuer.expiresAt, NOW_MS + 7 * DAY_MS);
  const bundle = parseBundle(TD, derToPem(issuer.rootDer));
  assert.ok(bundle.ok);
  const leaf = leafOf(issuer);
  const verified = verifyX509Svid([leaf, ...issuer.intermediates], bundle.value, NOW_MS);
  assert.ok(verified.ok);
  const serials = issuer.intermediates.map((der) => decodeSerial(der).serial);
  assert.deepEqual(verified.value.signers, serials, 'by which the intermediate can be revoked');
  assert.ok(!verifyX509Svid([leaf], bundle.value, NOW_MS).ok);
});

test('attack: a constrained authority signs for another trust domain', () => {
  const other = fakeTrustDomain('victim.org');
  const issuer = loaded();
  const leaf = leafOf(issuer, other);
  // Even where the victim trusts the same root.
  const root = fakeCertificate({
    name: 'shared',
    privateKey: KEYS.p384,
    extensions: caExtensions(),
  });
  const shared = createSigningKey(KEYS.p384);
  assert.ok(shared !== undefined);
  const above = { ...ROOT, certificateDer: root.der, key: shared, rootDer: root.der };
  const own = issueIntermediate({
    issuer: above,
    publicKeyDer: OWN.publicKeyDer,
    ttlMs: DAY_MS,
    ...ABOUT,
  });
  const bundle = parseBundle(other, pem(root.der));
  assert.ok(bundle.ok);
  const verified = verifyX509Svid([leaf, own], bundle.value, NOW_MS);
  assert.ok(!verified.ok);
});

test('a chain that would not serve is refused, and says why', () => {
  const stranger = createRoot({ trustDomain: TD, nowMs: NOW_MS, ttlMs: DAY_MS });
  const selfMade = fakeCertificate({
    name: 'root',
    privateKey: KEYS.p384,
    extensions: caExtensions(0),
    expiresAt: NOW_MS + 90 * DAY_MS,
  });
  const under = fakeCertificate({
    issuer: selfMade,
    name: 'below',
    privateKey: KEYS.p256,
    extensions: caExtensions(0),
  });
  const good = intermediate();
  for (const [chain, error] of [
    [pem(good), /2 to 5 certificates/],
    [pem(ROOT.certificateDer, good), /not of this authority's key/],
    [pem(good, stranger.certificateDer), /no path leads/],
    [pem(under.der, selfMade.der), /shorter chain/],
    [pem(intermediate(-DAY_MS), ROOT.certificateDer), /expired/],
    [pem(good, Buffer.from('x')), /certificate 2/],
  ] as const) {
    const refused = loadIntermediate(chain, OWN, ABOUT);
    assert.ok(!refused.ok, `${error}`);
    assert.match(refused.error, error);
  }
  const wrong = fakeTrustDomain('other.org');
  const refused = loadIntermediate(pem(good, ROOT.certificateDer), OWN, {
    ...ABOUT,
    trustDomain: wrong,
  });
  assert.ok(!refused.ok);
});

test('an intermediate without constraints is refused, unless it only signs others', () => {
  const root = fakeCertificate({ name: 'root', privateKey: KEYS.p384, extensions: caExtensions() });
  const bare = fakeCertificate({
    issuer: root,
    name: 'bare',
    privateKey: KEYS.p256,
    extensions: caExtensions(1),
  });
  const chain = pem(bare.der, root.der);
  const refused = loadIntermediate(chain, OWN, ABOUT);
  assert.ok(!refused.ok);
  assert.match(refused.error, /permitted;URI:example.org/);
  assert.ok(loadIntermediate(chain, OWN, { ...ABOUT, isUnconstrained: true }).ok);
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

test('OpenSSL reads the request, takes the chain, and refuses what the constraint forbids', {
  skip: hasOpenssl ? false : 'openssl is not installed',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-intermediate-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const csr = file(
    'csr',
    derToPem(createAuthorityCsr(OWN, TD)).replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST'),
  );
  assert.equal(spawnSync('openssl', ['req', '-in', csr, '-verify', '-noout']).status, 0);
  const issuer = loaded();
  const root = file('root', derToPem(issuer.rootDer));
  const middle = file('middle', issuer.intermediates.map((der) => derToPem(der)).join(''));
  const at = String(NOW_MS / 1000);
  const verify = (leaf: string) =>
    spawnSync(
      'openssl',
      ['verify', '-x509_strict', '-attime', at, '-CAfile', root, '-untrusted', middle].concat(leaf),
    );
  const good = verify(file('leaf', derToPem(leafOf(issuer))));
  assert.equal(good.status, 0, good.stderr.toString());
  const bad = verify(file('bad', derToPem(leafOf(issuer, fakeTrustDomain('victim.org')))));
  assert.match(bad.stderr.toString(), /permitted subtree violation/);
  rmSync(folder, { recursive: true });
});
