import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCommandDevice } from './command-device.ts';
import type { KeyDevice } from './key-device.ts';
import { createKeyStore } from './key-store.ts';
import { openPkcs11Device } from './pkcs11-device.ts';
import { createSoftHsm, softHsmMissing } from './soft-hsm.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-keys-'));
const program = join(folder, 'signer');
const signer = fileURLToPath(new URL('fake-signer.ts', import.meta.url));
writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${signer}' '${folder}'\n`);
chmodSync(program, 0o700);
const hsm = softHsmMissing === false ? createSoftHsm() : undefined;
if (hsm !== undefined) process.env['SOFTHSM2_CONF'] = hsm.env.SOFTHSM2_CONF;
after(() => {
  rmSync(folder, { recursive: true });
  hsm?.remove();
});

const MESSAGE = Buffer.from('what is signed');

/** What every place for keys has to keep. */
async function check(name: string, device: KeyDevice | undefined): Promise<void> {
  const store = createKeyStore({ device, passphrase: 'pass' });
  const path = join(folder, `${name}.key`);
  const made = store.create();
  made.save(path);
  const text = readFileSync(path, 'utf8');
  assert.doesNotMatch(text, /PRIVATE KEY/);
  const opened = createKeyStore({ device, passphrase: 'pass' }).open(path);
  assert.deepEqual(Buffer.from(opened.publicKeyDer), Buffer.from(made.key.publicKeyDer));
  const publicKey = createPublicKey({
    key: Buffer.from(opened.publicKeyDer),
    format: 'der',
    type: 'spki',
  });
  assert.ok(verify('sha256', MESSAGE, publicKey, opened.sign(MESSAGE)));
  const later = opened.signLater ?? (async (bytes: Uint8Array) => opened.sign(bytes));
  const signatures = await Promise.all(Array.from({ length: 20 }, () => later(MESSAGE)));
  for (const signature of signatures) assert.ok(verify('sha256', MESSAGE, publicKey, signature));
  if (device !== undefined)
    assert.throws(() => createKeyStore({ passphrase: 'pass' }).open(path), /PALISADE_CA_KEYS/);
  store.destroy(path);
  assert.ok(!existsSync(path));
  if (device !== undefined) await assert.rejects(later(MESSAGE));
}

test('a key in a sealed file', () => check('file', undefined));

test('a key behind a program, which is started again when it ended', async () => {
  const device = openCommandDevice({ program });
  await check('command', device);
  device.close();
});

test('a key on a PKCS #11 token', { skip: softHsmMissing }, async () => {
  assert.ok(hsm !== undefined);
  const device = openPkcs11Device(hsm);
  await check('pkcs11', device);
  device.close();
});

test('a token that is not there, and a PIN that is wrong, say so without the PIN', {
  skip: softHsmMissing,
}, () => {
  assert.ok(hsm !== undefined);
  assert.throws(
    () => openPkcs11Device({ ...hsm, token: 'elsewhere' }),
    /no token is labelled `elsewhere`/,
  );
  const wrong = (error: Error) =>
    /the PIN is wrong/.test(error.message) && !error.message.includes('000000');
  assert.throws(() => openPkcs11Device({ ...hsm, pin: '000000' }), wrong);
});

test('a token that is taken away and put back signs again, though its module has lost it', {
  skip: softHsmMissing,
}, async () => {
  assert.ok(hsm !== undefined);
  const device = openPkcs11Device({ ...hsm, restartEveryMs: 0 });
  const { key } = createKeyStore({ device }).create();
  const later = key.signLater;
  assert.ok(later !== undefined);
  await later(MESSAGE);
  const tokens = join(dirname(hsm.env.SOFTHSM2_CONF), 'tokens');
  renameSync(tokens, `${tokens}.away`);
  for (let i = 0; i < 3; i++) {
    await assert.rejects(later(MESSAGE));
    assert.throws(() => key.sign(MESSAGE));
    assert.throws(() => device.create());
  }
  renameSync(`${tokens}.away`, tokens);
  await Promise.all(Array.from({ length: 8 }, () => later(MESSAGE)));
  key.sign(MESSAGE);
  device.close();
});

test('attack: a key service that refuses, dies, is silent or signs with another key', async () => {
  const device = openCommandDevice({ program, timeoutMs: 1_500 });
  const { key } = createKeyStore({ device }).create();
  const later = key.signLater;
  assert.ok(later !== undefined);
  for (const [behaviour, error] of [
    ['refuse', /the key service says no/],
    ['die', /it ended \(3\)/],
    ['silent', /no answer within 1500 ms/],
    ['lie', /not of its key/],
  ] as const) {
    writeFileSync(join(folder, 'behaviour'), behaviour);
    await assert.rejects(later(MESSAGE), error);
  }
  rmSync(join(folder, 'behaviour'));
  await later(MESSAGE);
  device.close();
  const missing = openCommandDevice({ program: join(folder, 'nothing') });
  assert.throws(() => missing.create(), /ENOENT/);
});
