import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { fail, ok, type Result } from '#lib';

/** Reads the data types of RFC 4251 section 5 one behind the other; throws a RangeError where the bytes end. */
export class SshReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  bytes(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new RangeError('cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE();
  }

  string(): Buffer {
    return this.bytes(this.uint32());
  }

  text(): string {
    return this.string().toString('utf8');
  }
}

/** A string of RFC 4251: its length and its bytes. */
export function sshString(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** An OpenSSH host certificate (PROTOCOL.certkeys); nothing of it is verified yet. */
export type SshCertificate = {
  /** The certified key as a public key blob of its own. */
  readonly keyBlob: Buffer;
  readonly isHost: boolean;
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since 1970. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: number;
  readonly authorityBlob: Buffer;
  readonly signed: Buffer;
  readonly signature: Buffer;
};

const CERTIFIED = /^(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa)-cert-v01@openssh\.com$/;
const KEY_FIELDS: Readonly<Record<string, number>> = { 'ssh-ed25519': 1, 'ssh-rsa': 2 };
const HOST_CERTIFICATE = 2;

/** Decodes a host certificate's blob; fails on anything else. */
export function decodeSshCertificate(blob: Buffer): Result<SshCertificate, string> {
  try {
    return readCertificate(blob);
  } catch {
    // Cut off somewhere.
    return fail('the certificate is malformed');
  }
}

function readCertificate(blob: Buffer): Result<SshCertificate, string> {
  const reader = new SshReader(blob);
  const [, type] = CERTIFIED.exec(reader.text()) ?? [];
  if (type === undefined) return fail('not an OpenSSH certificate of a known kind');
  reader.string();
  const fields = Array.from({ length: KEY_FIELDS[type] ?? 2 }, () => sshString(reader.string()));
  const keyBlob = Buffer.concat([sshString(Buffer.from(type)), ...fields]);
  reader.uint64();
  const isHost = reader.uint32() === HOST_CERTIFICATE;
  const keyId = reader.text();
  const names = new SshReader(reader.string());
  const principals: string[] = [];
  while (!names.atEnd) principals.push(names.text());
  const [validAfter, validBefore] = [reader.uint64(), reader.uint64()];
  const criticalOptions = reader.string().length;
  reader.string();
  reader.string();
  const authorityBlob = reader.string();
  const signed = blob.subarray(0, reader.offset);
  const signature = reader.string();
  if (!reader.atEnd) return fail('the certificate has bytes behind its end');
  const validity = { validAfter, validBefore };
  const about = { keyBlob, isHost, keyId, principals, ...validity, criticalOptions };
  return ok({ ...about, authorityBlob, signed, signature });
}

/** Whether `signature` (a blob of format and value) over `bytes` was made by the key of `keyBlob`; never throws. */
export function verifySshSignature(keyBlob: Buffer, bytes: Uint8Array, signature: Buffer): boolean {
  try {
    const key = importSshKey(keyBlob);
    const reader = new SshReader(signature);
    const format = reader.text();
    const value = reader.string();
    if (key === undefined || !reader.atEnd) return false;
    // SECURITY: the key says which kind of signature it makes, and `ssh-rsa` (SHA-1) is none of them.
    if (format === 'ssh-ed25519' && key.asymmetricKeyType === 'ed25519') {
      return verify(null, bytes, key, value);
    }
    const digest = DIGESTS[format];
    if (digest === undefined) return false;
    if (key.asymmetricKeyType === 'rsa') {
      return format.startsWith('rsa-') && verify(digest, bytes, key, value);
    }
    const isOwnCurve = keyBlob.subarray(4).toString('latin1').startsWith(format);
    return (
      isOwnCurve && verify(digest, bytes, { key, dsaEncoding: 'ieee-p1363' }, pairOf(format, value))
    );
  } catch {
    // A blob that ends early, a point off its curve: no signature.
    return false;
  }
}

const DIGESTS: Readonly<Record<string, string>> = {
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
};

const CURVES: Readonly<Record<string, { readonly crv: string; readonly bytes: number }>> = {
  'ecdsa-sha2-nistp256': { crv: 'P-256', bytes: 32 },
  'ecdsa-sha2-nistp384': { crv: 'P-384', bytes: 48 },
  'ecdsa-sha2-nistp521': { crv: 'P-521', bytes: 66 },
};

function importSshKey(blob: Buffer): KeyObject | undefined {
  const reader = new SshReader(blob);
  const type = reader.text();
  const url = (bytes: Buffer): string => bytes.toString('base64url');
  if (type === 'ssh-ed25519') {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: url(reader.string()) };
    return createPublicKey({ key: jwk, format: 'jwk' });
  }
  if (type === 'ssh-rsa') {
    const e = unsigned(reader.string());
    const n = unsigned(reader.string());
    // SECURITY: neither keys that can be factored nor ones that take seconds to verify with.
    if (n.length < 256 || n.length > 1024) return undefined;
    return createPublicKey({ key: { kty: 'RSA', e: url(e), n: url(n) }, format: 'jwk' });
  }
  const curve = CURVES[type];
  if (curve === undefined) return undefined;
  reader.string();
  const point = reader.string();
  if (point.length !== 1 + 2 * curve.bytes || point[0] !== 4) return undefined;
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
  const jwk = { kty: 'EC', crv: curve.crv, x: url(x), y: url(y) };
  return createPublicKey({ key: jwk, format: 'jwk' });
}

/** r and s of one length behind one another, from two mpints. */
function pairOf(format: string, value: Buffer): Buffer {
  const reader = new SshReader(value);
  const length = CURVES[format]?.bytes ?? 0;
  const pad = (bytes: Buffer): Buffer => {
    if (bytes.length > length) throw new RangeError('too long');
    return Buffer.concat([Buffer.alloc(length - bytes.length), bytes]);
  };
  return Buffer.concat([pad(unsigned(reader.string())), pad(unsigned(reader.string()))]);
}

function unsigned(mpint: Buffer): Buffer {
  return mpint[0] === 0 ? mpint.subarray(1) : mpint;
}
