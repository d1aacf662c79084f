// Signing as devices do it, for the fakes of this layer.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';

/** ECDSA of a digest: node:crypto signs messages only, so this is the textbook's arithmetic (FIPS 186-5 section 6.4). */
export function signDigest(key: KeyObject, digest: Uint8Array): Buffer {
  const d = toNumber(Buffer.from(String(key.export({ format: 'jwk' }).d), 'base64url'));
  const k = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({
    format: 'jwk',
  });
  const r = toNumber(Buffer.from(String(k.x), 'base64url')) % ORDER;
  const nonce = toNumber(Buffer.from(String(k.d), 'base64url'));
  const s = (inverse(nonce) * ((toNumber(Buffer.from(digest)) + r * d) % ORDER)) % ORDER;
  return Buffer.from(`${hex(r)}${hex(s)}`, 'hex');
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function inverse(value: bigint): bigint {
  let [base, exponent, result] = [value % ORDER, ORDER - 2n, 1n];
  for (; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * base) % ORDER;
    base = (base * base) % ORDER;
  }
  return result;
}

function toNumber(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function hex(value: bigint): string {
  return value.toString(16).padStart(64, '0');
}
