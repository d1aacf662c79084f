import {
  constants,
  createCipheriv,
  createHmac,
  createPublicKey,
  hash,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { fail, ok, type Result } from '#lib';

// TPM 2.0 Library, part 2: the constants this reader knows.
const ALG = { rsa: 0x0001, sha256: 0x000b, null: 0x0010, ecc: 0x0023 };
const CURVE_P256 = 0x0003;
const GENERATED = 0xff544347;
const ATTEST_QUOTE = 0x8018;
const ATTRIBUTE = {
  fixedTpm: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
};

/** A key of a TPM, decoded from a TPM2B_PUBLIC. */
export type TpmPublic = {
  readonly key: KeyObject;
  /** Its name: how other structures of the TPM refer to it. */
  readonly name: Buffer;
  readonly attributes: number;
};

/** Decodes an RSA or P-256 key with SHA-256 names; fails on anything else. */
export function decodeTpmPublic(bytes: Buffer): Result<TpmPublic, string> {
  try {
    const outer = new TpmReader(bytes);
    const area = outer.sized();
    if (!outer.atEnd) return fail('the public area has bytes behind its end');
    const reader = new TpmReader(area);
    const type = reader.uint16();
    if (reader.uint16() !== ALG.sha256) return fail('the key is not named by SHA-256');
    const attributes = reader.uint32();
    reader.sized();
    const key = type === ALG.rsa ? readRsa(reader) : type === ALG.ecc ? readEcc(reader) : undefined;
    if (key === undefined || !reader.atEnd) return fail('the key is neither RSA nor P-256');
    const algorithm = Buffer.from([0, ALG.sha256]);
    return ok({
      key,
      attributes,
      name: Buffer.concat([algorithm, hash('sha256', area, 'buffer')]),
    });
  } catch {
    // Cut off, or no point of its curve.
    return fail('the public area is malformed');
  }
}

/**
 * Whether the key is one that only signs what the TPM itself made, and that never was nor will be outside of it.
 * SECURITY: without `restricted`, its holder could sign a quote that no TPM ever saw.
 */
export function isAttestationKey({ attributes }: TpmPublic): boolean {
  const { fixedTpm, fixedParent, sensitiveDataOrigin, restricted, decrypt, sign } = ATTRIBUTE;
  const needed = fixedTpm | fixedParent | sensitiveDataOrigin | restricted | sign;
  return (attributes & needed) === needed && (attributes & decrypt) === 0;
}

/** Whether the key decrypts only what the TPM itself then uses, as endorsement keys do. */
export function isEndorsementKey({ attributes, key }: TpmPublic): boolean {
  const { fixedTpm, restricted, decrypt, sign } = ATTRIBUTE;
  const needed = fixedTpm | restricted | decrypt;
  return (
    key.asymmetricKeyType === 'rsa' && (attributes & needed) === needed && (attributes & sign) === 0
  );
}

/**
 * Wraps `secret` so that only the TPM with the endorsement key can read it, and only if it holds the key of `name`
 * (TPM 2.0 Library, part 1, 24: credential protection). In the file format of tpm2-tools.
 */
export function makeCredential(endorsement: KeyObject, name: Buffer, secret: Buffer): Buffer {
  const seed = randomBytes(32);
  const encryptedSeed = publicEncrypt(
    {
      key: endorsement,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      oaepLabel: Buffer.from('IDENTITY\0'),
    },
    seed,
  );
  const cipher = createCipheriv(
    'aes-128-cfb',
    deriveKey({ key: seed, label: 'STORAGE', context: name, bits: 128 }),
    Buffer.alloc(16),
  );
  const identity = Buffer.concat([cipher.update(sized(secret)), cipher.final()]);
  const integrityKey = deriveKey({ key: seed, label: 'INTEGRITY', context: NOTHING, bits: 256 });
  const integrity = createHmac('sha256', integrityKey).update(identity).update(name).digest();
  const header = Buffer.from('badcc0de00000001', 'hex');
  const credential = sized(Buffer.concat([sized(integrity), identity]));
  return Buffer.concat([header, credential, sized(encryptedSeed)]);
}

/** The caller's data in a quote (TPMS_ATTEST); fails unless a TPM made it and it is one. */
export function decodeQuote(bytes: Buffer): Result<{ readonly extraData: Buffer }, string> {
  try {
    const reader = new TpmReader(bytes);
    // SECURITY: a restricted key signs nothing from outside that begins with this.
    if (reader.uint32() !== GENERATED) return fail('no TPM made the quote');
    if (reader.uint16() !== ATTEST_QUOTE) return fail('what the TPM attests is no quote');
    reader.sized();
    return ok({ extraData: reader.sized() });
  } catch {
    // Cut off.
    return fail('the quote is malformed');
  }
}

const NOTHING = Buffer.alloc(0);

/** KDFa (TPM 2.0 Library, part 1, 11.4.10.2), for at most one block of SHA-256. */
function deriveKey(of: {
  readonly key: Buffer;
  readonly label: string;
  readonly context: Buffer;
  readonly bits: number;
}): Buffer {
  const counter = Buffer.from([0, 0, 0, 1]);
  const bits = Buffer.alloc(4);
  bits.writeUInt32BE(of.bits);
  return createHmac('sha256', of.key)
    .update(counter)
    .update(`${of.label}\0`)
    .update(of.context)
    .update(bits)
    .digest()
    .subarray(0, of.bits / 8);
}

function sized(bytes: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
}

function readRsa(reader: TpmReader): KeyObject | undefined {
  skipSymmetric(reader);
  skipScheme(reader);
  const bits = reader.uint16();
  const exponent = reader.uint32();
  const modulus = reader.sized();
  // Zero stands for 65537 (part 2, 12.2.3.5).
  if (bits < 2048 || bits > 4096 || (exponent !== 0 && exponent !== 65_537)) return undefined;
  const jwk = { kty: 'RSA', e: 'AQAB', n: modulus.toString('base64url') };
  return createPublicKey({ key: jwk, format: 'jwk' });
}

function readEcc(reader: TpmReader): KeyObject | undefined {
  skipSymmetric(reader);
  skipScheme(reader);
  if (reader.uint16() !== CURVE_P256) return undefined;
  skipScheme(reader);
  const coordinate = (): string => {
    const bytes = reader.sized();
    return Buffer.concat([Buffer.alloc(Math.max(0, 32 - bytes.length)), bytes]).toString(
      'base64url',
    );
  };
  const jwk = { kty: 'EC', crv: 'P-256', x: coordinate(), y: coordinate() };
  return createPublicKey({ key: jwk, format: 'jwk' });
}

function skipSymmetric(reader: TpmReader): void {
  if (reader.uint16() === ALG.null) return;
  reader.uint16();
  reader.uint16();
}

/** A scheme is its algorithm and, but for none, the hash it uses. */
function skipScheme(reader: TpmReader): void {
  if (reader.uint16() !== ALG.null) reader.uint16();
}

/** Reads big-endian structures one behind the other; throws a RangeError where the bytes end. */
class TpmReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  uint16(): number {
    this.#at += 2;
    return this.#bytes.readUInt16BE(this.#at - 2);
  }

  uint32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  sized(): Buffer {
    const length = this.uint16();
    if (length > this.#bytes.length - this.#at) throw new RangeError('cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
