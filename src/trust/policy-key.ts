import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import { decodeBase64 } from './shape.ts';

/** Something that signs as one policy key, e.g. a key file or a hardware token. */
export type PolicySigner = {
  /** SHA-256 of the public key's SPKI DER, lower-case hex. */
  readonly keyId: string;
  /** The Ed25519 signature (64 bytes) of `bytes`. */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
};

/** A new Ed25519 key: PKCS#8 PEM, and base64 of the SPKI DER with its `keyId`. */
export type PolicyKey = {
  readonly privateKeyPem: string;
  readonly publicKey: string;
  readonly keyId: string;
};

const MAX_PUBLIC_KEY_BYTES = 512;

/** Makes an Ed25519 key. The caller writes `privateKeyPem` with mode 0600. */
export function createPolicyKey(): PolicyKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: der.toString('base64'),
    keyId: keyIdOf(der),
  };
}

/** The signer of a private key in PKCS#8 PEM; an error in words if it is no Ed25519 key. */
export function loadSigner(
  privateKeyPem: string,
): Result<PolicySigner & { readonly publicKey: string }, string> {
  let key: KeyObject;
  try {
    key = createPrivateKey(privateKeyPem);
  } catch {
    // SECURITY: OpenSSL's reason may quote the file; the key's content never reaches a message.
    return fail('not a private key in PKCS#8 PEM');
  }
  if (key.asymmetricKeyType !== 'ed25519') return fail('policy keys are Ed25519 keys');
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return ok({
    keyId: keyIdOf(der),
    publicKey: der.toString('base64'),
    sign: (bytes) => sign(null, bytes, key),
  });
}

/** The verification key of base64 SPKI DER if that is an Ed25519 key whose id is `keyId`. */
export function openPublicKey(publicKey: unknown): OpenedKey {
  if (typeof publicKey !== 'string') return readPublicKey(publicKey);
  const known = opened.get(publicKey);
  if (known !== undefined) return known;
  const key = readPublicKey(publicKey);
  if (!key.ok) return key;
  // SECURITY: what comes over the network names keys too; what is remembered of them is bounded.
  if (opened.size >= MAX_OPENED) opened.clear();
  opened.set(publicKey, key);
  return key;
}

type OpenedKey = Result<{ keyId: string; key: KeyObject }, string>;

// A mesh has a handful of keys, and each message is verified by one of them: OpenSSL takes as long to read a key as to verify.
const MAX_OPENED = 64;
const opened = new Map<string, OpenedKey>();

function readPublicKey(publicKey: unknown): OpenedKey {
  const der = decodeBase64(publicKey, MAX_PUBLIC_KEY_BYTES);
  if (der === undefined) return fail('not base64 of a public key');
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ed25519') return fail('not an Ed25519 key');
    // SECURITY: DER that reads as the same key must not give a second id, or one signer would count twice.
    if (!key.export({ type: 'spki', format: 'der' }).equals(der)) return fail('not canonical DER');
    return ok({ keyId: keyIdOf(der), key });
  } catch {
    // OpenSSL has many words for bytes that are no key; one is enough here.
    return fail('not a public key');
  }
}

function keyIdOf(spkiDer: Uint8Array): string {
  return createHash('sha256').update(spkiDer).digest('hex');
}
