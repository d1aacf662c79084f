import { createPublicKey, randomBytes } from 'node:crypto';
import type { KeyDevice } from './key-device.ts';
import { openPkcs11Module, Pkcs11Error, type Pkcs11Module } from './pkcs11-module.ts';

/** Which token of which module; the PIN is its user's. */
export type Pkcs11Options = {
  readonly modulePath: string;
  readonly token: string;
  /** SECURITY: never logged, and part of no error. */
  readonly pin: string;
  /** How often the module begins anew at most while it does not give a session: 5,000 unless told. */
  readonly restartEveryMs?: number;
};

const LABEL = 'palisade authority';
// Signatures under way at once; each has a session, for a session does one thing at a time.
const MAX_SESSIONS = 4;
const REFERENCE = /^[0-9a-f]{32}$/;
// SubjectPublicKeyInfo of an uncompressed P-256 point (RFC 5480), without the point.
const P256_FRAME = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
// What says that the session, the login or a handle is gone, e.g. since the token was taken out and put back. Modules that
// lose their token without noticing say `general error` or `function failed` for good.
const STALE: ReadonlySet<number> = new Set([
  0x05, 0x06, 0x30, 0x32, 0x60, 0x82, 0xb0, 0xb3, 0xe0, 0x101, 0x190,
]);
const WRONG_PIN: ReadonlySet<number> = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4]);
// Beginning anew may take a module seconds, and everybody waits meanwhile.
const RESTART_EVERY_MS = 5_000;

/** Opens a PKCS #11 token; throws where the module, the token or the PIN is not right. */
export function openPkcs11Device(options: Pkcs11Options): KeyDevice {
  return new Pkcs11Device(options);
}

class Pkcs11Device implements KeyDevice {
  readonly kind = 'pkcs11';
  readonly #options: Pkcs11Options;
  readonly #module: Pkcs11Module;
  readonly #handles = new Map<string, bigint>();
  readonly #waiting: (() => void)[] = [];
  #free: bigint[] = [];
  #count = 0;
  #restartedAt = -Infinity;
  #pinProblem: Error | undefined;

  constructor(options: Pkcs11Options) {
    this.#options = options;
    this.#module = openPkcs11Module(options.modulePath);
    this.#release(this.#openOnce());
  }

  create(): { readonly reference: string; readonly publicKeyDer: Uint8Array } {
    const reference = randomBytes(16).toString('hex');
    const point = this.#withSession((session) =>
      this.#module.generate(session, Buffer.from(reference, 'hex'), LABEL),
    );
    const publicKeyDer = Buffer.concat([P256_FRAME, point]);
    // Throws where the token made something else.
    createPublicKey({ key: publicKeyDer, format: 'der', type: 'spki' });
    return { reference, publicKeyDer };
  }

  sign(reference: string, digest: Uint8Array): Buffer {
    return this.#withSession((session) =>
      this.#module.sign(session, this.#handleOf(session, reference), digest),
    );
  }

  async signLater(reference: string, digest: Uint8Array): Promise<Buffer> {
    try {
      return await this.#signLater(reference, digest);
    } catch (error) {
      if (!isStale(error)) throw error;
      return this.#signLater(reference, digest);
    }
  }

  destroy(reference: string): void {
    this.#handles.delete(reference);
    this.#withSession((session) => {
      for (const object of this.#module.find(session, idOf(reference))) {
        this.#module.destroy(session, object);
      }
    });
  }

  close(): void {
    for (const session of this.#free) this.#close(session);
    this.#count -= this.#free.length;
    this.#free = [];
  }

  async #signLater(reference: string, digest: Uint8Array): Promise<Buffer> {
    const session = await this.#acquire();
    try {
      const key = this.#handleOf(session, reference);
      const signature = await this.#module.signLater(session, key, digest);
      this.#release(session);
      return signature;
    } catch (error) {
      this.#giveUp(session, error);
      throw error;
    }
  }

  /** Does not wait: where all sessions are busy it takes one more. */
  #withSession<T>(work: (session: bigint) => T): T {
    const attempt = () => {
      const session = this.#free.pop() ?? this.#open();
      try {
        const result = work(session);
        this.#release(session);
        return result;
      } catch (error) {
        this.#giveUp(session, error);
        throw error;
      }
    };
    try {
      return attempt();
    } catch (error) {
      if (!isStale(error)) throw error;
      return attempt();
    }
  }

  async #acquire(): Promise<bigint> {
    for (;;) {
      const session = this.#free.pop();
      if (session !== undefined) return session;
      if (this.#count < MAX_SESSIONS) return this.#open();
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** A session; where none is open any more the module may have lost the token, and begins anew. */
  #open(): bigint {
    // SECURITY: a token locks itself after a few wrong PINs, and each request would try it once more.
    if (this.#pinProblem !== undefined) throw this.#pinProblem;
    try {
      return this.#openOnce();
    } catch (error) {
      const { restartEveryMs = RESTART_EVERY_MS } = this.#options;
      const isTooSoon = performance.now() < this.#restartedAt + restartEveryMs;
      if (this.#pinProblem !== undefined || this.#count > 0 || isTooSoon) throw error;
      this.#restartedAt = performance.now();
      this.#handles.clear();
      this.#module.restart();
      return this.#openOnce();
    }
  }

  #openOnce(): bigint {
    const session = this.#module.openSession(this.#module.findSlot(this.#options.token));
    try {
      this.#module.login(session, this.#options.pin);
    } catch (error) {
      if (error instanceof Pkcs11Error && WRONG_PIN.has(error.code)) this.#pinProblem = error;
      this.#close(session);
      throw error;
    }
    this.#count++;
    return session;
  }

  #release(session: bigint): void {
    this.#free.push(session);
    this.#waiting.shift()?.();
  }

  /** A session that failed is used again, unless it is the session that failed: then none of them is good. */
  #giveUp(session: bigint, error: unknown): void {
    if (!isStale(error)) return this.#release(session);
    const gone = [session, ...this.#free];
    this.#free = [];
    this.#count -= gone.length;
    this.#handles.clear();
    for (const each of gone) this.#close(each);
    this.#waiting.shift()?.();
  }

  #close(session: bigint): void {
    try {
      this.#module.closeSession(session);
    } catch {
      // It was gone already.
    }
  }

  #handleOf(session: bigint, reference: string): bigint {
    let handle = this.#handles.get(reference);
    if (handle === undefined) {
      const found = this.#module.find(session, idOf(reference), 'private');
      if (found[0] === undefined || found.length > 1) {
        throw new Error(`the token \`${this.#options.token}\` has ${found.length} such keys`);
      }
      handle = found[0];
      this.#handles.set(reference, handle);
    }
    return handle;
  }
}

function isStale(error: unknown): boolean {
  return error instanceof Pkcs11Error && STALE.has(error.code);
}

function idOf(reference: string): Buffer {
  if (!REFERENCE.test(reference)) throw new Error('the reference is not of a PKCS #11 key');
  return Buffer.from(reference, 'hex');
}
