import { createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createKeyPair, type JwtKey, type JwtSigningKey, jwtKeyOf } from '#identity';
import { EVENT, type Log } from '#telemetry';
import { type DsseEnvelope, type PolicySigner, signJwtKeys } from '#trust';
import { type Passphrase, readSealed, writeSealed } from './sealed-file.ts';

/** The keys that sign JWT-SVIDs: one now, one that follows, and those whose tokens still live. */
export type JwtKeys = {
  /** The key to sign with now, and until when a token of it will verify (Unix milliseconds). */
  readonly current: () => { readonly key: JwtSigningKey; readonly publishedUntil: number };
  readonly sequence: () => number;
  /** The keys that sign now or later and until when (Unix milliseconds), the last at the end. */
  readonly signing: () => readonly { readonly kid: string; readonly signsUntil: number }[];
  /** The signed key document for whoever verifies; the same object until a key comes or goes. */
  readonly envelope: () => DsseEnvelope;
  /** Makes, retires and removes keys that are due; true if any was. */
  readonly rotateIfDue: () => boolean;
  /**
   * Takes the keys that were made before this instant (Unix milliseconds) out of the document, so that whatever they sign
   * verifies nowhere as soon as the document has arrived; whether there were any.
   */
  readonly retireMadeBefore: (instantMs: number) => boolean;
};

/** What the keys live in. */
export type JwtKeysOptions = {
  /** Of mode 0600; made if it is missing. */
  readonly path: string;
  /** Seals the file, where there is one. */
  readonly passphrase?: Passphrase;
  readonly trustDomain: string;
  readonly logSigner: PolicySigner;
  readonly clock: () => number;
  readonly log: Log;
};

/** A key and its times in Unix milliseconds. */
type Held = {
  readonly pem: string;
  readonly signsFrom: number;
  readonly signsUntil: number;
  /** Absent in files of before this was kept. */
  readonly madeAt?: number;
};
type Opened = Held & { readonly signing: JwtSigningKey; readonly jwt: JwtKey };
type File = { readonly sequence: number; readonly keys: readonly Held[] };

const HOUR_MS = 3_600_000;
const SIGNS_FOR_MS = 24 * HOUR_MS;
// SPIFFE Federation 4.1: published 3 to 5 refresh intervals before it signs; ours are of minutes.
const PUBLISHED_AHEAD_MS = 12 * HOUR_MS;
/** The longest life of a JWT-SVID; a key stays published that long after its last signature, and a little more. */
export const MAX_JWT_TTL_MS: number = 24 * HOUR_MS;
const PUBLISHED_AFTER_MS = MAX_JWT_TTL_MS + HOUR_MS;

/** Opens the keys in `path`, or makes the first one; throws, naming the file, if it is damaged. */
export function openJwtKeys(options: JwtKeysOptions): JwtKeys {
  return new RotatingKeys(options);
}

class RotatingKeys implements JwtKeys {
  readonly #options: JwtKeysOptions;
  #sequence = 0;
  #keys: readonly Opened[] = [];
  #envelope: DsseEnvelope | undefined;

  constructor(options: JwtKeysOptions) {
    this.#options = options;
    if (existsSync(options.path)) {
      const file = readKeys(options.path, options.passphrase);
      this.#sequence = file.sequence;
      this.#keys = file.keys.map(open);
    }
    this.rotateIfDue();
  }

  current(): { key: JwtSigningKey; publishedUntil: number } {
    this.#tryRotate();
    const now = this.#options.clock();
    // The newest that may sign already; the oldest, should the clock have been set back behind them all.
    const held = this.#keys.findLast((key) => key.signsFrom <= now) ?? this.#keys[0];
    if (held === undefined) throw new Error('no key signs JWT-SVIDs now');
    return { key: held.signing, publishedUntil: held.signsUntil + PUBLISHED_AFTER_MS };
  }

  signing(): readonly { kid: string; signsUntil: number }[] {
    // An authority that is asked for nothing makes its next key all the same.
    this.#tryRotate();
    const now = this.#options.clock();
    return this.#keys
      .filter(({ signsUntil }) => signsUntil > now)
      .map(({ jwt, signsUntil }) => ({ kid: jwt.kid, signsUntil }));
  }

  sequence(): number {
    return this.#sequence;
  }

  envelope(): DsseEnvelope {
    const { clock, logSigner, trustDomain } = this.#options;
    const set = { sequence: this.#sequence, keys: this.#keys.map(({ jwt }) => jwt) };
    this.#envelope ??= signJwtKeys(set, { trustDomain, nowMs: clock(), signer: logSigner });
    return this.#envelope;
  }

  rotateIfDue(): boolean {
    const now = this.#options.clock();
    const live = this.#keys.filter(({ signsUntil }) => now < signsUntil + PUBLISHED_AFTER_MS);
    const last = live.at(-1);
    const next =
      last === undefined || now >= last.signsUntil
        ? createKey(now, now)
        : now >= last.signsUntil - PUBLISHED_AHEAD_MS
          ? createKey(last.signsUntil, now)
          : undefined;
    if (next === undefined && live.length === this.#keys.length) return false;
    this.#keep(next === undefined ? live : [...live, next]);
    return true;
  }

  retireMadeBefore(instantMs: number): boolean {
    const now = this.#options.clock();
    const until = Math.min(instantMs, now);
    const kept = this.#keys.filter(({ madeAt = 0 }) => madeAt >= until);
    if (kept.length === this.#keys.length) return false;
    const signs = kept.some(({ signsFrom }) => signsFrom <= now);
    this.#keep(signs ? kept : [createKey(now, now), ...kept]);
    return true;
  }

  // A full disk must not stop what the present key can still sign.
  #tryRotate(): void {
    try {
      this.rotateIfDue();
    } catch (error) {
      this.#options.log.error(EVENT.stateWriteFailed, { file: 'jwt-keys.json', error });
    }
  }

  /** INVARIANT: a key is on disk before anything is signed with it, so that no restart loses a key in use. */
  #keep(keys: readonly Opened[]): void {
    const { clock, log, path, passphrase } = this.#options;
    // By the clock, so that a folder restored from a backup does not say old numbers anew.
    const sequence = Math.max(this.#sequence + 1, Math.floor(clock() / 1000));
    const file: File = {
      sequence,
      keys: keys.map(({ pem, signsFrom, signsUntil, madeAt = 0 }) => ({
        pem,
        signsFrom,
        signsUntil,
        madeAt,
      })),
    };
    writeSealed(path, JSON.stringify(file), passphrase);
    this.#keys = keys;
    this.#sequence = sequence;
    this.#envelope = undefined;
    log.info(EVENT.jwtKeysRotated, { sequence, keys: keys.map(({ jwt }) => jwt.kid) });
  }
}

function createKey(signsFrom: number, madeAt: number): Opened {
  const pem = createKeyPair().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return open({ pem, signsFrom, signsUntil: signsFrom + SIGNS_FOR_MS, madeAt });
}

function open(held: Held): Opened {
  const privateKey = createPrivateKey(held.pem);
  const jwt = jwtKeyOf(createPublicKey(privateKey));
  return { ...held, jwt, signing: { kid: jwt.kid, privateKey } };
}

function readKeys(path: string, passphrase: Passphrase): File {
  const text = readSealed(path, passphrase);
  try {
    const file = JSON.parse(text) as File;
    if (Number.isSafeInteger(file.sequence) && file.keys.every(isHeld)) return file;
  } catch {
    // SECURITY: the reason could quote a key; which file it is says enough.
  }
  throw new Error(`\`${path}\` is damaged: restore it, or remove it to start with new keys`);
}

function isHeld({ pem, signsFrom, signsUntil }: Held): boolean {
  createPrivateKey(pem);
  return Number.isSafeInteger(signsFrom) && Number.isSafeInteger(signsUntil);
}
