import { hash } from 'node:crypto';
import {
  BACKDATE_MS,
  createRoot,
  decodeSerial,
  type Issuer,
  parseTrustDomain,
  type TrustDomain,
} from '#identity';
import { EVENT, type Log } from '#telemetry';
import type { TrustRoot } from '#trust';
import type { IssuerLife } from './expiries.ts';
import { type Held, type IssuerFolder, openIssuerFolder } from './issuer-folder.ts';
import type { KeyStore, NewKey } from './keys/key-store.ts';
import type { Upstream } from './upstream.ts';

/**
 * The keys that an authority may issue under. Which of them it uses is not its own choice: the first root of the trust
 * root under which it has one. So authors rotate it, step by step, by signing successors of the trust root, and whoever
 * was killed half-way goes on where the trust root says.
 */
export type Issuers = {
  /** Throws, in words, where there is none that is valid now. */
  readonly active: () => Issuer;
  /** All under whom a certificate may still be valid, the active one first. */
  readonly trusted: () => readonly Issuer[];
  /**
   * The issuer that no trust root has named yet; made, and on disk, when this is called the first time. Below an upstream
   * whose root is trusted already it is another intermediate, which is issued with from now on.
   */
  readonly next: () => Issuer;
  /** After the trust root changed: destroys the keys of roots that were trusted before and are no more. */
  readonly settle: () => void;
  /** Takes in what was imported meanwhile, and has an intermediate of ours signed anew from half of its life on. */
  readonly refresh: () => void;
  /** Those that are trusted or wait to be, with how long they last. */
  readonly lives: () => readonly IssuerLife[];
};

/** What opening takes; `trustRoot` is the newest one. */
export type IssuersOptions = {
  readonly folder: string;
  readonly keys: KeyStore;
  /** Who signs our intermediates, where somebody does without being asked each time. */
  readonly upstream?: Upstream | undefined;
  /** Whether the certificate of this serial number (lower-case hex) was revoked; none is unless told. */
  readonly isRevoked?: (serial: string) => boolean;
  readonly trustRoot: () => TrustRoot;
  readonly clock: () => number;
  readonly log: Log;
};

/** How long a root of ours lives. */
export const ROOT_TTL_MS: number = 10 * 365 * 24 * 3_600_000;

/** Reads all keys there are; throws, naming the file, if one is damaged, or none is of a trusted root. */
export function openIssuers(options: IssuersOptions): Issuers {
  const issuers = new HeldIssuers(options);
  issuers.active();
  issuers.settle();
  return {
    active: () => issuers.active(),
    trusted: () => issuers.trusted(),
    next: () => issuers.next(),
    settle: () => issuers.settle(),
    refresh: () => issuers.refresh(),
    lives: () => issuers.lives(),
  };
}

// An intermediate is not replaced by the next one more often than that.
const NEXT_EVERY_MS = 60_000;

/** Serial number of an issuer's own certificate, lower-case hex, as revocations name it. */
export function serialOf({ certificateDer }: Pick<Issuer, 'certificateDer'>): string {
  const known = serials.get(certificateDer);
  if (known !== undefined) return known;
  const { serial } = decodeSerial(certificateDer);
  serials.set(certificateDer, serial);
  return serial;
}

// Asked for each certificate that is issued.
const serials = new WeakMap<Uint8Array, string>();

/** How an issuer is called in files and logs: half of the SHA-256 of its certificate. */
export function nameOf({ certificateDer }: Pick<Issuer, 'certificateDer'>): string {
  return hash('sha256', certificateDer, 'hex').slice(0, 32);
}

/** The issuer under the first root that has one which is valid; of several the one that lasts longest. */
export function newestIssuer(
  held: readonly Held[],
  { x509Roots }: TrustRoot,
  nowMs: number,
): Issuer | undefined {
  for (const root of x509Roots) {
    const found = newestUnder(held, root);
    if (found !== undefined && found.expiresAt > nowMs) return found;
  }
  return undefined;
}

function newestUnder(held: readonly Held[], root: string): Issuer | undefined {
  return held.reduce<Issuer | undefined>(
    (newest, each) => (each.root === root && isNewer(each.issuer, newest) ? each.issuer : newest),
    undefined,
  );
}

/** Of two that their upstream's end cuts alike, the one that was made later. */
function isNewer(issuer: Issuer, than: Issuer | undefined): boolean {
  if (than === undefined || issuer.expiresAt !== than.expiresAt) {
    return issuer.expiresAt > (than?.expiresAt ?? 0);
  }
  return issuer.startsAt > than.startsAt;
}

class HeldIssuers {
  readonly #options: IssuersOptions;
  readonly #folder: IssuerFolder;
  #held: readonly Held[];
  /** A key that waits for somebody to sign for it: each attempt with a key of its own would fill a device with them. */
  #unsigned: NewKey | undefined;

  constructor(options: IssuersOptions) {
    this.#options = options;
    const { folder, keys, trustRoot, clock, log } = options;
    const trustDomain = domainOf(trustRoot());
    this.#folder = openIssuerFolder({ folder, keys, trustDomain, clock, log });
    this.#held = this.#folder.readAll([]);
    if (this.#held.length === 0) throw new Error(`no key of an authority is in \`${folder}\``);
  }

  active(): Issuer {
    const { trustRoot, clock } = this.#options;
    const found = newestIssuer(this.#usable(), trustRoot(), clock());
    if (found !== undefined) return found;
    const expired = newestIssuer(this.#held, trustRoot(), 0);
    if (expired === undefined) {
      throw new Error("the trust root does not name this authority's certificate");
    }
    if (expired.expiresAt > clock()) throw new Error("the authority's certificate was revoked");
    throw new Error(
      `the authority's certificate expired at ${new Date(expired.expiresAt).toISOString()}`,
    );
  }

  trusted(): readonly Issuer[] {
    const { trustRoot, clock } = this.#options;
    const { x509Roots } = trustRoot();
    const active = this.active();
    const others = this.#usable().filter(({ issuer, root }) => {
      return issuer !== active && x509Roots.includes(root) && issuer.expiresAt > clock();
    });
    return [active, ...others.map(({ issuer }) => issuer)];
  }

  next(): Issuer {
    this.refresh();
    const trusted = this.#options.trustRoot().x509Roots;
    const waiting = this.#held.findLast(({ root }) => !trusted.includes(root));
    if (waiting !== undefined) return waiting.issuer;
    const { upstream, clock } = this.#options;
    const young = newestIssuer(this.#usable(), this.#options.trustRoot(), clock());
    // SECURITY: whoever may ask for the next one could have the upstream sign, and the device make keys, without end.
    const isYoung = young !== undefined && clock() < young.startsAt + BACKDATE_MS + NEXT_EVERY_MS;
    if (isYoung && rootOf(young) === upstream?.root()) return young;
    const made = this.#make();
    this.#held = [...this.#held, made];
    this.#options.log.info(EVENT.issuerPrepared, { issuer: nameOf(made.issuer) });
    return made.issuer;
  }

  /** SECURITY: remembered before it is used, so that a retired root is never taken for the next one. */
  settle(): void {
    const trusted = this.#options.trustRoot().x509Roots;
    const used = new Set(this.#folder.readUsed());
    for (const { root, issuer } of this.#held) if (trusted.includes(root)) used.add(nameOf(issuer));
    this.#folder.writeUsed([...used]);
    for (const each of this.#held) {
      const name = nameOf(each.issuer);
      const isOver = trusted.includes(each.root) ? this.#isReplaced(each) : used.has(name);
      if (!isOver) continue;
      this.#folder.destroy(each);
      this.#options.log.warn(EVENT.issuerRetired, { issuer: name });
      this.#held = this.#held.filter((other) => other !== each);
    }
  }

  refresh(): void {
    this.#held = [...this.#held, ...this.#folder.readAll(this.#held)];
    const { upstream, trustRoot, clock, log } = this.#options;
    const root = upstream?.root();
    if (root !== undefined && trustRoot().x509Roots.includes(root)) {
      const current = newestUnder(this.#usable(), root);
      if (current === undefined || clock() >= (current.startsAt + current.expiresAt) / 2) {
        this.#held = [...this.#held, this.#make()];
        log.info(EVENT.issuerRenewed, {});
      }
    }
    this.settle();
  }

  lives(): readonly IssuerLife[] {
    const { trustRoot, clock, upstream } = this.#options;
    const active = newestIssuer(this.#usable(), trustRoot(), clock());
    const above = upstream?.root();
    const origin = ({ issuer, root }: Held): IssuerLife['origin'] => {
      if (issuer.intermediates.length === 0) return 'own';
      if (upstream === undefined) return 'imported';
      return above === undefined || above === root ? 'upstream' : 'left';
    };
    return this.#held.map((held) => {
      const { certificateDer, startsAt, expiresAt } = held.issuer;
      const isActive = held.issuer === active;
      return { certificateDer, startsAt, expiresAt, origin: origin(held), isActive };
    });
  }

  /** SECURITY: what was revoked is refused by all, so it signs nothing; roots are not revoked but leave the trust root. */
  #usable(): readonly Held[] {
    const { isRevoked = () => false } = this.#options;
    return this.#held.filter(
      ({ issuer }) => issuer.intermediates.length === 0 || !isRevoked(serialOf(issuer)),
    );
  }

  // Nothing is signed with an intermediate that expired or was revoked; what it signed needs its certificate, not its key.
  #isReplaced(held: Held): boolean {
    const usable = this.#usable();
    const isOver = held.issuer.expiresAt <= this.#options.clock() || !usable.includes(held);
    const newest = newestUnder(usable, held.root);
    return isOver && newest !== undefined && newest !== held.issuer;
  }

  #make(): Held {
    const { keys, trustRoot, clock } = this.#options;
    const trustDomain = domainOf(trustRoot());
    this.#unsigned ??= keys.create();
    const made = this.#unsigned;
    const held = this.#folder.keep(made, this.#certify(made, { trustDomain, nowMs: clock() }));
    this.#unsigned = undefined;
    return held;
  }

  #certify(
    { key }: NewKey,
    { trustDomain, nowMs }: { readonly trustDomain: TrustDomain; readonly nowMs: number },
  ): string {
    const { upstream } = this.#options;
    if (upstream !== undefined) {
      return upstream.sign({ publicKeyDer: key.publicKeyDer, trustDomain, nowMs });
    }
    const commonName = `Palisade root of ${trustDomain} of ${new Date(nowMs).toISOString().slice(0, 10)}`;
    return createRoot({ trustDomain, nowMs, ttlMs: ROOT_TTL_MS, commonName, key }).certificatePem;
  }
}

function rootOf({ rootDer }: Issuer): string {
  return Buffer.from(rootDer).toString('base64');
}

function domainOf({ trustDomain }: TrustRoot): TrustDomain {
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
