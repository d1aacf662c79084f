import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, hash, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundlePem, parseBundle } from './bundle.ts';
import {
  caExtensions,
  fakeCertificate,
  fakeTrustDomain,
  KEYS,
  leafExtensions,
  NOW_MS,
} from './fake-authority.ts';
import {
  createRoot,
  createSelfSignedClient,
  type Issuer,
  issueX509Svid,
  loadIssuer,
  loadSigningKey,
} from './issue.ts';
import { derToPem } from './pem.ts';
import { createKeyPair, createSigningKey, exportSpki } from './signing-key.ts';
import { workloadSpiffeId } from './spiffe-id.ts';
import { verifyX509Svid } from './verify.ts';

const TD = fakeTrustDomain('cluster.local');
const ID = workloadSpiffeId(TD, 'shop', 'web');
const HOUR_MS = 3_600_000;
const DNS_NAMES = ['web', 'web.shop.svc.cluster.local'];

function issue(issuer: Issuer, serial: Uint8Array = Buffer.alloc(16, 0x11)): Uint8Array {
  const publicKeyDer = exportSpki(KEYS.p256);
  const times = { notBefore: NOW_MS - 60_000, expiresAt: NOW_MS + HOUR_MS };
  return issueX509Svid({ issuer, id: ID, publicKeyDer, serial, dnsNames: DNS_NAMES, ...times });
}

function pemOf(key: { export: typeof KEYS.p256.export }): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

test('an issued SVID verifies against the bundle of its root', () => {
  const root = createRoot({ trustDomain: TD, nowMs: NOW_MS, ttlMs: 24 * HOUR_MS });
  const bundle = parseBundle(TD, root.certificatePem);
  assert.ok(bundle.ok);
  assert.equal(bundlePem(bundle.value), root.certificatePem);
  const serial = Buffer.concat([Buffer.from([0]), randomBytes(15)]);
  serial[1] = (serial[1] ?? 0) | 0x80;
  const verified = verifyX509Svid([issue(root, serial)], bundle.value, NOW_MS);
  assert.ok(verified.ok, JSON.stringify(verified));
  assert.deepEqual(verified.value.id, ID);
  assert.equal(verified.value.serial, serial.subarray(1).toString('hex'));
  assert.equal(verified.value.notBefore, NOW_MS - 60_000);
  assert.equal(verified.value.expiresAt, NOW_MS + HOUR_MS);
});

test('node:crypto reads the same names and signatures', () => {
  const root = createRoot({
    trustDomain: TD,
    nowMs: NOW_MS,
    ttlMs: HOUR_MS,
    commonName: 'é'.repeat(80),
  });
  const parent = new X509Certificate(root.certificateDer);
  const leaf = new X509Certificate(issue(root));
  assert.ok(parent.ca && !leaf.ca);
  assert.ok(leaf.checkIssued(parent) && leaf.verify(parent.publicKey));
  assert.equal(parent.subject, `CN=${'é'.repeat(64)}`);
  const dns = DNS_NAMES.map((name) => `DNS:${name}`);
  assert.equal(leaf.subjectAltName, [`URI:${ID.text}`, ...dns].join(', '));
});

test('a serial number that is not 16 positive bytes, or a name beyond ASCII, is never signed', () => {
  const root = createRoot({ trustDomain: TD, nowMs: NOW_MS, ttlMs: HOUR_MS });
  for (const serial of [
    Buffer.alloc(16),
    Buffer.alloc(16, 0x80),
    Buffer.alloc(15, 1),
    Buffer.alloc(17, 1),
  ]) {
    assert.throws(() => issue(root, serial), RangeError);
  }
  for (const name of ['a\u0000.example', 'ä.example', 'a b', '']) {
    const options = {
      issuer: root,
      id: ID,
      publicKeyDer: exportSpki(KEYS.p256),
      serial: Buffer.alloc(16, 1),
    };
    const times = { notBefore: NOW_MS, expiresAt: NOW_MS + HOUR_MS };
    assert.throws(() => issueX509Svid({ ...options, ...times, dnsNames: [name] }), RangeError);
  }
});

function load(certificatePem: string, privateKeyPem: string) {
  const key = loadSigningKey(privateKeyPem);
  return key.ok ? loadIssuer(certificatePem, key.value) : key;
}

test('an authority is loaded with its own key only', () => {
  const ofRoot = createSigningKey(KEYS.p256);
  assert.ok(ofRoot !== undefined);
  const root = createRoot({ trustDomain: TD, nowMs: NOW_MS, ttlMs: HOUR_MS, key: ofRoot });
  const loaded = load(root.certificatePem, pemOf(KEYS.p256));
  assert.ok(loaded.ok);
  assert.deepEqual(loaded.value.certificateDer, root.certificateDer);
  const leaf = fakeCertificate({ privateKey: KEYS.p256, extensions: leafExtensions([ID.text]) });
  const cases: readonly [string, string, RegExp][] = [
    [root.certificatePem, pemOf(createKeyPair().privateKey), /not the certificate's/],
    [root.certificatePem, 'garbage', /cannot be read/],
    ['', pemOf(KEYS.p256), /exactly one/],
    [root.certificatePem.repeat(2), pemOf(KEYS.p256), /exactly one/],
    [derToPem(Buffer.from('x')), pemOf(KEYS.p256), /the certificate: /],
    [derToPem(leaf.der), pemOf(KEYS.p256), /may not sign/],
  ];
  for (const [certificate, key, error] of cases) {
    const refused = load(certificate, key);
    assert.ok(!refused.ok);
    assert.match(refused.error, error);
  }
});

test('authorities of every accepted kind of key issue SVIDs that verify', () => {
  for (const kind of ['p256', 'p384', 'ed25519', 'rsa'] as const) {
    const made = fakeCertificate({
      name: 'ca',
      privateKey: KEYS[kind],
      extensions: caExtensions(),
    });
    const issuer = load(derToPem(made.der), pemOf(KEYS[kind]));
    assert.ok(issuer.ok);
    const bundle = parseBundle(TD, issuer.value.certificatePem);
    assert.ok(bundle.ok && verifyX509Svid([issue(issuer.value)], bundle.value, NOW_MS).ok);
  }
});

test('a bundle without a certificate, or with one that cannot be read, is refused', () => {
  const root = createRoot({ trustDomain: TD, nowMs: NOW_MS, ttlMs: HOUR_MS });
  for (const pem of ['', 'x', root.certificatePem + derToPem(Buffer.from('x'))]) {
    assert.equal(parseBundle(TD, pem).ok, false);
  }
});

test('a self-signed client has the fingerprint of its certificate and its own key', () => {
  const client = createSelfSignedClient({ commonName: 'admin', nowMs: NOW_MS, ttlMs: HOUR_MS });
  const certificate = new X509Certificate(client.certificatePem);
  assert.equal(client.fingerprint, hash('sha256', certificate.raw));
  assert.equal(client.fingerprint, certificate.fingerprint256.replaceAll(':', '').toLowerCase());
  assert.ok(certificate.checkPrivateKey(createPrivateKey(client.privateKeyPem)));
  assert.equal(certificate.subject, 'CN=admin');
  assert.equal(certificate.ca, false);
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

test('openssl agrees', { skip: hasOpenssl ? false : 'openssl is not installed' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-identity-'));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const run = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    assert.equal(status, 0, `openssl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  try {
    const root = createRoot({ trustDomain: TD, nowMs: NOW_MS, ttlMs: 24 * HOUR_MS });
    const rootFile = file('root.pem', root.certificatePem);
    const leafFile = file('leaf.pem', derToPem(issue(root)));
    const at = [
      '-attime',
      String(NOW_MS / 1000),
      '-x509_strict',
      '-check_ss_sig',
      '-CAfile',
      rootFile,
    ];
    for (const purpose of ['sslserver', 'sslclient'])
      run('verify', ...at, '-purpose', purpose, leafFile);
    const text = run('x509', '-text', '-noout', '-in', leafFile);
    for (const line of [
      /Basic Constraints: critical\s+CA:FALSE/,
      /Key Usage: critical\s+Digital Signature\n/,
      /TLS Web Server Authentication, TLS Web Client Authentication/,
      /Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web, DNS:web,/,
    ]) {
      assert.match(text, line);
    }
    assert.match(run('x509', '-text', '-noout', '-in', rootFile), /CA:TRUE, pathlen:1/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
