import { createCipheriv, createDecipheriv, hash, randomBytes, scryptSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeSecretFile } from './secret-file.ts';

/** What seals an authority's keys on disk; undefined: they lie there as they are, mode 0600. */
export type Passphrase = string | undefined;

type Sealed = {
  readonly sealed: 'scrypt-aes-256-gcm';
  readonly cost: number;
  readonly salt: string;
  readonly nonce: string;
  readonly tag: string;
  readonly data: string;
};

// RFC 7914: 128 MiB and some 0.3 s a guess.
const COST = 2 ** 17;
const BLOCK_SIZE = 8;
const MAX_MEMORY = 512 * 1024 * 1024;
// SECURITY: what the file asks for is bounded, or it could make us run out of memory.
const MAX_COST = 2 ** 20;

/** Writes a secret of mode 0600, sealed where there is a passphrase. */
export function writeSealed(path: string, text: string, passphrase: Passphrase): void {
  writeSecretFile(path, passphrase === undefined ? text : seal(text, passphrase));
}

/**
 * Reads what `writeSealed` wrote. A file from before there was a passphrase is sealed in place. Throws, naming the file and
 * nothing of its content, where it cannot be opened.
 */
export function readSealed(path: string, passphrase: Passphrase): string {
  const text = read(path);
  const sealed = parseSealed(text);
  if (sealed === undefined) {
    if (passphrase !== undefined) writeSealed(path, text, passphrase);
    return text;
  }
  if (passphrase === undefined) {
    throw new Error(
      `\`${path}\` is sealed: name a file with its passphrase in PALISADE_CA_PASSPHRASE_FILE`,
    );
  }
  try {
    return open(sealed, passphrase);
  } catch {
    // OpenSSL says no more than that the tag does not fit.
    throw new Error(`\`${path}\` cannot be opened: the passphrase is wrong, or the file damaged`);
  }
}

function seal(text: string, passphrase: string): string {
  const salt = ownSalt;
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', derive(passphrase, salt, COST), nonce);
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  const sealed: Sealed = {
    sealed: 'scrypt-aes-256-gcm',
    cost: COST,
    salt: salt.toString('base64'),
    nonce: nonce.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    data: data.toString('base64'),
  };
  return `${JSON.stringify(sealed)}\n`;
}

function open(sealed: Sealed, passphrase: string): string {
  const [salt, nonce, tag, data] = [sealed.salt, sealed.nonce, sealed.tag, sealed.data].map(
    (part) => Buffer.from(part, 'base64'),
  ) as [Buffer, Buffer, Buffer, Buffer];
  const key = derive(passphrase, salt, sealed.cost);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAuthTag(tag);
  return decipher.update(data, undefined, 'utf8') + decipher.final('utf8');
}

// An authority has several files, and writes one of them each day: the 0.3 s are to slow down who guesses, not us.
const derived = new Map<string, Buffer>();
const MAX_DERIVED = 16;

function derive(passphrase: string, salt: Uint8Array, cost: number): Buffer {
  const name = `${Buffer.from(salt).toString('hex')} ${cost} ${hash('sha256', passphrase)}`;
  const known = derived.get(name);
  if (known !== undefined) return known;
  const key = scryptSync(passphrase, salt, 32, {
    N: cost,
    r: BLOCK_SIZE,
    p: 1,
    maxmem: MAX_MEMORY,
  });
  if (derived.size >= MAX_DERIVED) derived.clear();
  derived.set(name, key);
  return key;
}

/** The salt of this process: what it writes has one key, and nonces of 96 random bits keep that safe for 2^32 files. */
const ownSalt = randomBytes(16);

function parseSealed(text: string): Sealed | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(text) as Sealed;
    const isSealed = value.sealed === 'scrypt-aes-256-gcm';
    const isBounded = Number.isInteger(value.cost) && value.cost > 1 && value.cost <= MAX_COST;
    return isSealed && isBounded ? value : undefined;
  } catch {
    // Neither sealed nor a key: whoever reads it says what is wrong with it.
    return undefined;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`\`${path}\` cannot be read`, { cause });
  }
}
