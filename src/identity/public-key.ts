import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { DerError, DerReader, TAG } from './der-read.ts';
import { readOctetBits, readOid, readUnsigned } from './der-values.ts';
import { OID } from './oid.ts';

/** The kinds of key an SVID or its authorities may hold. */
export type KeyKind = 'p256' | 'p384' | 'ed25519' | 'rsa';

/** A signature's algorithm: the kinds of key that can make it and its digest, null for Ed25519. */
export type SignatureAlgorithm = {
  readonly oid: string;
  readonly keys: readonly KeyKind[];
  readonly digest: string | null;
};

const EC_KEYS = ['p256', 'p384'] as const;
// SECURITY: no SHA-1 and no MD5; RSASSA-PSS is left out because its parameters are a language of
// their own and no SPIFFE issuer is known to use it.
const SIGNATURE_ALGORITHMS = new Map<string, SignatureAlgorithm>(
  (
    [
      { oid: OID.ecdsaSha256, keys: EC_KEYS, digest: 'sha256' },
      { oid: OID.ecdsaSha384, keys: EC_KEYS, digest: 'sha384' },
      { oid: OID.ecdsaSha512, keys: EC_KEYS, digest: 'sha512' },
      { oid: OID.rsaSha256, keys: ['rsa'], digest: 'sha256' },
      { oid: OID.rsaSha384, keys: ['rsa'], digest: 'sha384' },
      { oid: OID.rsaSha512, keys: ['rsa'], digest: 'sha512' },
      { oid: OID.ed25519, keys: ['ed25519'], digest: null },
    ] satisfies SignatureAlgorithm[]
  ).map((algorithm) => [algorithm.oid, algorithm]),
);

/** Reads a signature's AlgorithmIdentifier; others than those above are refused. */
export function readSignatureAlgorithm(reader: DerReader): SignatureAlgorithm {
  const sequence = reader.enter(TAG.sequence);
  const oid = readOid(sequence);
  const algorithm = SIGNATURE_ALGORITHMS.get(oid);
  if (algorithm === undefined) throw new DerError(`signature algorithm ${oid} is not accepted`);
  // RFC 4055 section 5: RSA has NULL parameters; RFC 5758 and 8410: the others have none.
  if (algorithm.keys[0] === 'rsa') readNull(sequence);
  sequence.finish();
  return algorithm;
}

/** Checks a SubjectPublicKeyInfo (whole DER) and says which kind of key it holds. */
export function readKeyKind(spki: Uint8Array): KeyKind {
  const outer = new DerReader(spki);
  const info = outer.enter(TAG.sequence);
  outer.finish();
  const algorithm = info.enter(TAG.sequence);
  const oid = readOid(algorithm);
  const curve = oid === OID.ecPublicKey ? readOid(algorithm) : undefined;
  if (oid === OID.rsa) readNull(algorithm);
  algorithm.finish();
  const key = readOctetBits(info);
  info.finish();
  if (oid === OID.rsa) return checkRsa(key);
  if (oid === OID.ed25519 && key.length === 32) return 'ed25519';
  // RFC 5480 section 2.2: the uncompressed point is the form everyone must support.
  if (curve === OID.p256 && key.length === 65 && key[0] === 4) return 'p256';
  if (curve === OID.p384 && key.length === 97 && key[0] === 4) return 'p384';
  throw new DerError('public key is not P-256, P-384, Ed25519 or RSA');
}

/** The key object of a SubjectPublicKeyInfo, undefined if it is no key at all (a point off its curve). */
export function importPublicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    // OpenSSL's reason adds nothing to "not a key" and may differ between versions.
    return undefined;
  }
}

/** Whether `signature` over `signed` was made by `key`; never throws. */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  signed: Uint8Array,
  signature: Uint8Array,
  key: KeyObject,
): boolean {
  try {
    return verify(algorithm.digest, signed, key, signature);
  } catch {
    // An unreadable signature is a bad signature.
    return false;
  }
}

function checkRsa(key: Buffer): KeyKind {
  const outer = new DerReader(key);
  const sequence = outer.enter(TAG.sequence);
  outer.finish();
  // SECURITY: the upper bound keeps a peer from buying seconds of our CPU with one huge modulus.
  const modulus = readUnsigned(sequence, 1024);
  const exponent = readUnsigned(sequence, 4);
  sequence.finish();
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < 2048) throw new DerError(`RSA key of ${bits} bits is too short`);
  const isOdd = ((exponent[exponent.length - 1] ?? 0) & 1) === 1;
  if (!isOdd || (exponent.length === 1 && exponent[0] === 1))
    throw new DerError('bad RSA exponent');
  return 'rsa';
}

function readNull(reader: DerReader): void {
  if (reader.body(TAG.null).length !== 0) throw new DerError('bad null');
}
