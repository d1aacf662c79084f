import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { derToPem, pemToDer } from '#identity';
import { createSilentLog } from '#telemetry';
import { verifyIssuanceLog } from '#trust';
import {
  type AuthorityFolder,
  importChain,
  requestAuthority,
  signRequest,
} from './authority-requests.ts';
import { openDatabase } from './database.ts';
import { createTestMesh, type TestMesh } from './fixtures.ts';
import { certificateDigest, openIssuanceLog } from './issuance-log.ts';
import { openIssuers } from './issuers.ts';
import { createKeyStore } from './keys/key-store.ts';

const above = createTestMesh();
const below = createTestMesh();
after(() => {
  above.remove();
  below.remove();
});
const TTL_MS = 24 * 3_600_000;

function folderOf({ folder, trustRoot }: TestMesh): AuthorityFolder {
  return { folder, trustRoot, nowMs: Date.now() };
}

test('another authority signs a request, logs it first, and the chain is the next root below', () => {
  const csrPem = requestAuthority(folderOf(below));
  const signed = signRequest(folderOf(above), { csrPem, ttlMs: TTL_MS });
  assert.ok(signed.ok, signed.ok ? '' : signed.error);
  const database = openDatabase(join(above.folder, 'ca.db'));
  const entries = openIssuanceLog(database).read(0, 10);
  database.close();
  assert.ok(verifyIssuanceLog(entries).ok);
  const [own = new Uint8Array()] = pemToDer(signed.value);
  assert.equal(entries.at(-1)?.certificateSha256, certificateDigest(own));
  assert.equal(entries.at(-1)?.allowedBy, 'operator');

  const imported = importChain(folderOf(below), signed.value);
  assert.ok(imported.ok, imported.ok ? '' : imported.error);
  assert.equal(imported.value.isTrusted, false);
  const issuers = openIssuers({
    folder: below.folder,
    keys: createKeyStore({}),
    trustRoot: () => below.trustRoot,
    clock: Date.now,
    log: createSilentLog(),
  });
  assert.equal(derToPem(issuers.next().rootDer), above.rootPem);
  assert.equal(
    readdirSync(join(below.folder, 'issuers')).filter((n) => n.endsWith('.csr')).length,
    0,
  );
});

test('a running authority takes up what is imported under a root that is trusted already', () => {
  const issuers = openIssuers({
    folder: below.folder,
    keys: createKeyStore({}),
    trustRoot: () => ({ ...below.trustRoot, x509Roots: above.trustRoot.x509Roots }),
    clock: Date.now,
    log: createSilentLog(),
  });
  const before = issuers.active();
  const csrPem = requestAuthority(folderOf(below));
  const signed = signRequest(folderOf(above), { csrPem, ttlMs: 2 * TTL_MS });
  assert.ok(signed.ok && importChain(folderOf(below), signed.value).ok);
  assert.equal(issuers.active(), before);
  issuers.refresh();
  assert.ok(issuers.active().expiresAt > before.expiresAt);
  // One that is an intermediate itself signs nobody: its path length is 0.
  const trustRoot = { ...below.trustRoot, x509Roots: above.trustRoot.x509Roots };
  const refused = signRequest({ ...folderOf(below), trustRoot }, { csrPem, ttlMs: TTL_MS });
  assert.equal(refused.ok ? '' : refused.error, 'an intermediate cannot sign another one');
});

test('attack: chains and requests that are not what was asked for', () => {
  const csrPem = requestAuthority(folderOf(below));
  const stranger = requestAuthority(folderOf(above));
  const forStranger = signRequest(folderOf(above), { csrPem: stranger, ttlMs: TTL_MS });
  assert.ok(forStranger.ok);
  for (const [chain, error] of [
    [forStranger.value, /not of this authority's key/],
    [above.rootPem, /2 to 5 certificates/],
    ['nothing', /no certificate/],
  ] as const) {
    const refused = importChain(folderOf(below), chain);
    assert.match(refused.ok ? '' : refused.error, error);
  }
  assert.ok(!existsSync(join(below.folder, 'issuers', 'x.crt')));
  const bad = signRequest(folderOf(above), { csrPem: 'nothing', ttlMs: TTL_MS });
  assert.match(bad.ok ? '' : bad.error, /no certificate request/);
  const other = { ...above.trustRoot, trustDomain: 'other.org' };
  const foreign = signRequest({ ...folderOf(above), trustRoot: other }, { csrPem, ttlMs: TTL_MS });
  assert.match(foreign.ok ? '' : foreign.error, /of `example.org`/);
});

test('attack: a request is made without the passphrase of a sealed folder, and leaves no key there in the clear', () => {
  const sealed = createTestMesh(undefined, { passphrase: 'pass' });
  assert.throws(() => requestAuthority(folderOf(sealed)), /log\.key` is sealed/);
  assert.equal(existsSync(join(sealed.folder, 'issuers')), false);
  requestAuthority({ ...folderOf(sealed), passphrase: 'pass' });
  sealed.remove();
});

test('an intermediate that would be over at once is not signed', () => {
  const csrPem = requestAuthority(folderOf(below));
  const signed = signRequest(folderOf(above), { csrPem, ttlMs: 0 });
  assert.match(signed.ok ? '' : signed.error, /over at once/);
});
