import assert from 'node:assert/strict';
import {
  constants,
  createDecipheriv,
  createHash,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  sign,
} from 'node:crypto';
import { test } from 'node:test';
import { attestationProof } from '#identity';
import type { AttestationContext, Evidence, Step } from './node-attestor.ts';
import { tpm } from './tpm.ts';

// A TPM as its specification describes it, with keys that leave it, so that a test can lie with them. The real one
// (swtpm) is in the system tests.
const EK_ATTRIBUTES = 0x000300b2;
const AK_ATTRIBUTES = 0x00050072;
const PUBLIC_KEY = Buffer.from('the key to be certified');
const sized = (bytes: Buffer): Buffer => {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
};
const numbers = (...values: readonly (readonly [number, 2 | 4])[]): Buffer =>
  Buffer.concat(
    values.map(([value, bytes]) => {
      const buffer = Buffer.alloc(bytes);
      buffer.writeUIntBE(value, 0, bytes);
      return buffer;
    }),
  );

type Key = { readonly privateKey: KeyObject; readonly publicKey: KeyObject; readonly area: Buffer };

function endorsementKey(attributes = EK_ATTRIBUTES): Key {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const modulus = Buffer.from(String(publicKey.export({ format: 'jwk' })['n']), 'base64url');
  const head = numbers([0x0001, 2], [0x000b, 2], [attributes, 4]);
  const scheme = numbers([0x0006, 2], [128, 2], [0x0043, 2], [0x0010, 2], [2048, 2], [0, 4]);
  const area = Buffer.concat([head, sized(Buffer.alloc(32)), scheme, sized(modulus)]);
  return { privateKey, publicKey, area };
}

function attestationKey(attributes = AK_ATTRIBUTES): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const head = numbers([0x0023, 2], [0x000b, 2], [attributes, 4]);
  const scheme = numbers([0x0010, 2], [0x0018, 2], [0x000b, 2], [0x0003, 2], [0x0010, 2]);
  const point = [x, y].map((each) => sized(Buffer.from(String(each), 'base64url')));
  return {
    privateKey,
    publicKey,
    area: Buffer.concat([head, sized(Buffer.alloc(0)), scheme, ...point]),
  };
}

const nameOf = ({ area }: Key): Buffer =>
  Buffer.concat([Buffer.from('000b', 'hex'), createHash('sha256').update(area).digest()]);

/** Opens a credential as a TPM does that holds both keys; undefined where it refuses (part 1, 24.4). */
function activate(credential: Buffer, ek: Key, ak: Key): Buffer | undefined {
  const size = credential.readUInt16BE(8);
  const object = credential.subarray(10, 10 + size);
  const seed = privateDecrypt(
    {
      key: ek.privateKey,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      oaepLabel: Buffer.from('IDENTITY\0'),
    },
    credential.subarray(12 + size),
  );
  const derive = (label: string, context: Buffer, bits: number): Buffer =>
    createHmac('sha256', seed)
      .update(
        Buffer.concat([numbers([1, 4]), Buffer.from(`${label}\0`), context, numbers([bits, 4])]),
      )
      .digest()
      .subarray(0, bits / 8);
  const hmac = object.subarray(2, 34);
  const identity = object.subarray(34);
  const expected = createHmac('sha256', derive('INTEGRITY', Buffer.alloc(0), 256))
    .update(identity)
    .update(nameOf(ak))
    .digest();
  if (!expected.equals(hmac)) return undefined;
  const cipher = createDecipheriv(
    'aes-128-cfb',
    derive('STORAGE', nameOf(ak), 128),
    Buffer.alloc(16),
  );
  return Buffer.concat([cipher.update(identity), cipher.final()]).subarray(2);
}

function quoteOf(nonce: Buffer, more: { magic?: number; type?: number } = {}): Buffer {
  const proof = attestationProof('tpm', nonce, PUBLIC_KEY);
  const qualifying = createHash('sha256').update(proof).digest();
  const head = numbers([more.magic ?? 0xff544347, 4], [more.type ?? 0x8018, 2]);
  return Buffer.concat([head, sized(Buffer.from('signer')), sized(qualifying), Buffer.alloc(17)]);
}

const ek = endorsementKey();
const ak = attestationKey();
const digest = createHash('sha256')
  .update(ek.publicKey.export({ type: 'spki', format: 'der' }))
  .digest('hex');
const evidence: Evidence = {
  ekPublic: sized(ek.area).toString('base64'),
  akPublic: sized(ak.area).toString('base64'),
};

function begin(shown: Evidence, known: readonly string[] = [digest]) {
  const specs = [{ tpm: { ekSha256: known } }];
  const context = { specs, publicKeyDer: PUBLIC_KEY, nowMs: Date.now() };
  return tpm.begin(shown, context as unknown as AttestationContext);
}

type Answer = { readonly secret: Buffer; readonly quote: Buffer; readonly signer: Key };

function check(
  name: string,
  want: RegExp,
  lie: (honest: Answer, nonce: Buffer) => Partial<Answer> = () => ({}),
): void {
  test(name, () => {
    const step = begin(evidence);
    assert.ok(step.ok && step.value.kind === 'challenge');
    const { challenge, verify } = step.value as Extract<Step, { kind: 'challenge' }>;
    const nonce = Buffer.from(String(challenge['nonce']), 'base64');
    const credential = Buffer.from(String(challenge['credential']), 'base64');
    const secret = activate(credential, ek, ak);
    assert.ok(secret);
    assert.equal(activate(credential, ek, attestationKey()), undefined);
    const honest: Answer = { secret, quote: quoteOf(nonce), signer: ak };
    const told = { ...honest, ...lie(honest, nonce) };
    const verdict = verify({
      secret: told.secret.toString('base64'),
      quote: told.quote.toString('base64'),
      signature: sign('sha256', told.quote, told.signer.privateKey).toString('base64'),
    });
    assert.match(verdict.ok ? verdict.value.agent : verdict.error, want);
  });
}

check('a TPM that holds both keys', new RegExp(`^tpm/${digest}$`));
check('attack: an attestation key outside of the TPM', /not in the TPM/, () => ({
  secret: Buffer.alloc(32),
}));
check('attack: a quote by another key', /not signed by the attestation key/, () => ({
  signer: attestationKey(),
}));
check('attack: a quote of an earlier attempt', /not for this attempt/, () => ({
  quote: quoteOf(Buffer.alloc(32)),
}));
check('attack: bytes that no TPM made', /no TPM made/, (_honest, nonce) => ({
  quote: quoteOf(nonce, { magic: 0x12345678 }),
}));
check('attack: another statement of the TPM', /no quote/, (_honest, nonce) => ({
  quote: quoteOf(nonce, { type: 0x8017 }),
}));
check('a quote that is cut off', /malformed/, ({ quote }) => ({ quote: quote.subarray(0, 8) }));

function checkRefused(
  name: string,
  shown: Evidence,
  want: RegExp,
  known?: readonly string[],
): void {
  test(name, () => {
    const step = begin(shown, known);
    assert.match(step.ok ? 'taken' : step.error, want);
  });
}

const publicOf = (key: Key): string => sized(key.area).toString('base64');
checkRefused('a TPM that nobody named', evidence, /is not in a NodeAttestor/, ['0'.repeat(64)]);
checkRefused(
  'attack: an attestation key that signs whatever it is given',
  { ...evidence, akPublic: publicOf(attestationKey(0x00040072)) },
  /no attestation key/,
);
checkRefused(
  'attack: an attestation key that can leave its TPM',
  { ...evidence, akPublic: publicOf(attestationKey(0x00050070)) },
  /no attestation key/,
);
checkRefused(
  'attack: an endorsement key that decrypts for anybody',
  { ...evidence, ekPublic: publicOf(endorsementKey(0x000200b2)) },
  /no RSA endorsement key/,
);
checkRefused(
  'bytes behind the key',
  { ...evidence, akPublic: Buffer.concat([sized(ak.area), Buffer.from([0])]).toString('base64') },
  /bytes behind/,
);
test('a key cut off anywhere is refused', () => {
  const whole = sized(ak.area);
  for (let length = 1; length < whole.length; length += 1) {
    const step = begin({ ...evidence, akPublic: whole.subarray(0, length).toString('base64') });
    assert.ok(!step.ok, `${length} bytes`);
  }
});
