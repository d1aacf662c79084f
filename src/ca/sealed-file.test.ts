import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { initializeCa, loadSecrets } from './initialize.ts';
import { readSealed, writeSealed } from './sealed-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-sealed-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'a.key');

test('what is sealed opens with its passphrase alone, and shows nothing of itself', () => {
  writeSealed(path, 'the key itself', 'correct horse');
  assert.equal(readFileSync(path, 'utf8').includes('the key'), false);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(readSealed(path, 'correct horse'), 'the key itself');
  assert.throws(() => readSealed(path, 'wrong'), /passphrase is wrong/);
  assert.throws(() => readSealed(path, undefined), /is sealed/);
});

test('attack: an edited file, and one that asks for all the memory', () => {
  writeSealed(path, 'the key itself', 'pass');
  const sealed = JSON.parse(readFileSync(path, 'utf8'));
  const edited = { ...sealed, data: Buffer.from('another text!!').toString('base64') };
  writeFileSync(path, JSON.stringify(edited));
  assert.throws(() => readSealed(path, 'pass'), /cannot be opened/);
  writeFileSync(path, JSON.stringify({ ...sealed, cost: 2 ** 30 }));
  // Taken for a file that is not sealed, and refused by whoever reads a key from it.
  assert.equal(JSON.parse(readSealed(path, undefined)).cost, 2 ** 30);
});

test('keys of before there was a passphrase are sealed in place, and it is needed from then on', () => {
  const ca = join(folder, 'ca');
  const made = initializeCa({ folder: ca, trustDomain: 'example.org', nowMs: Date.now() });
  assert.match(readFileSync(join(ca, 'log.key'), 'utf8'), /PRIVATE KEY/);
  const { logSigner } = loadSecrets(ca, 'pass');
  assert.equal(logSigner.publicKey, made.logPublicKey);
  for (const name of ['log.key', 'join-token-agent', 'join-token-control']) {
    const text = readFileSync(join(ca, name), 'utf8');
    assert.equal(JSON.parse(text).sealed, 'scrypt-aes-256-gcm', name);
  }
  assert.throws(() => loadSecrets(ca), /is sealed/);
});
