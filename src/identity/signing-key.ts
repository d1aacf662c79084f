import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { TAG } from './der-read.ts';
import { encodeElement, encodeOid, encodeSequence } from './der-write.ts';
import { OID } from './oid.ts';

/** A private key made ready to sign certificates: its AlgorithmIdentifier and the act. */
export type SigningKey = {
  readonly algorithm: Buffer;
  readonly sign: (bytes: Uint8Array) => Buffer;
};

/** A fresh P-256 key pair. */
export function createKeyPair(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

/** The SubjectPublicKeyInfo of a private or public key. */
export function exportSpki(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** Makes a private key of any accepted kind ready to sign; undefined for another kind. */
export function createSigningKey(key: KeyObject): SigningKey | undefined {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return { algorithm: encodeSequence(encodeOid(OID.ed25519)), sign: (b) => sign(null, b, key) };
    case 'rsa': {
      const algorithm = encodeSequence(encodeOid(OID.rsaSha256), encodeElement(TAG.null));
      return { algorithm, sign: (bytes) => sign('sha256', bytes, key) };
    }
    case 'ec': {
      if (curve !== 'prime256v1' && curve !== 'secp384r1') return undefined;
      const isP256 = curve === 'prime256v1';
      const algorithm = encodeSequence(encodeOid(isP256 ? OID.ecdsaSha256 : OID.ecdsaSha384));
      const digest = isP256 ? 'sha256' : 'sha384';
      return { algorithm, sign: (bytes) => sign(digest, bytes, key) };
    }
    default:
      return undefined;
  }
}
