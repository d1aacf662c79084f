import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { TAG } from './der-read.ts';
import { encodeElement, encodeOid, encodeSequence } from './der-write.ts';
import { OID } from './oid.ts';

/** A private key made ready to sign certificates, wherever it lies: its AlgorithmIdentifier and the act. */
export type SigningKey = {
  readonly algorithm: Buffer;
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
  /** Blocks until it is done, which for a key of another device may take long; throws where that fails. */
  readonly sign: (bytes: Uint8Array) => Buffer;
  /** As `sign`, without blocking; absent where the key is in memory, since nothing is won there. */
  readonly signLater?: (bytes: Uint8Array) => Promise<Buffer>;
};

/** The AlgorithmIdentifier of ECDSA with SHA-256 (RFC 5758 section 3.2). */
export const ECDSA_SHA256: Buffer = encodeSequence(encodeOid(OID.ecdsaSha256));

/** A fresh P-256 key pair. */
export function createKeyPair(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

/** The SubjectPublicKeyInfo of a private or public key. */
export function exportSpki(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/**
 * Makes a private key of any accepted kind ready to sign; undefined for another kind. `publicKeyDer` is its
 * SubjectPublicKeyInfo, for whoever has it already: OpenSSL takes longer to write it than to sign.
 */
export function createSigningKey(
  key: KeyObject,
  publicKeyDer: Uint8Array = exportSpki(key),
): SigningKey | undefined {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return {
        algorithm: encodeSequence(encodeOid(OID.ed25519)),
        publicKeyDer,
        sign: (bytes) => sign(null, bytes, key),
      };
    case 'rsa': {
      const algorithm = encodeSequence(encodeOid(OID.rsaSha256), encodeElement(TAG.null));
      return { algorithm, publicKeyDer, sign: (bytes) => sign('sha256', bytes, key) };
    }
    case 'ec': {
      if (curve !== 'prime256v1' && curve !== 'secp384r1') return undefined;
      const isP256 = curve === 'prime256v1';
      const algorithm = isP256 ? ECDSA_SHA256 : encodeSequence(encodeOid(OID.ecdsaSha384));
      const digest = isP256 ? 'sha256' : 'sha384';
      return { algorithm, publicKeyDer, sign: (bytes) => sign(digest, bytes, key) };
    }
    default:
      return undefined;
  }
}
