import { hash } from 'node:crypto';
import { createRoot, type Issuer, parseTrustDomain, type TrustDomain } from '#identity';
import { EVENT, type Log } from '#telemetry';
import type { TrustRoot } from '#trust';
import type { IssuerLife } from './expiries.ts';
import { type Held, type IssuerFolder, openIssuerFolder } from './issuer-folder.ts';
import type { KeyStore } from './keys/key-store.ts';
import type { Upstream } from './upstream.ts';

/**
 * The keys that an authority may issue under. Which of them it uses is not its own choice: the first root of the trust
 * root under which it has one. So authors rotate it, step by step, by signing successors of the trust root, and whoever
 * was killed half-way goes on where the trust root says.
 */
export type Issuers = {
  /** Throws, in words, where there is none that is valid now. */
  readonly active: () => Issuer;
  /** The issuer that no trust root has named yet; made, and on disk, when this is called the first time. */
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
    next: () => issuers.next(),
    settle: () => issuers.settle(),
    refresh: () => issuers.refresh(),
    lives: () => issuers.lives(),
  };
}

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
  let newest: Issuer | undefined;
  for (const each of held) {
    if (each.root !== root) continue;
    if (newest === undefined || each.issuer.expiresAt > newest.expiresAt) newest = each.issuer;
  }
  return newest;
}

class HeldIssuers {
  readonly #options: IssuersOptions;
  readonly #folder: IssuerFolder;
  #held: readonly Held[];

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
    const found = newestIssuer(this.#held, trustRoot(), clock());
    if (found !== undefined) return found;
    const expired = newestIssuer(this.#held, trustRoot(), 0);
    if (expired === undefined) {
      throw new Error("the trust root does not name this authority's certificate");
    }
    throw new Error(
      `the authority's certificate expired at ${new Date(expired.expiresAt).toISOString()}`,
    );
  }

  next(): Issuer {
    this.refresh();
    const trusted = this.#options.trustRoot().x509Roots;
    const waiting = this.#held.findLast(({ root }) => !trusted.includes(root));
    if (waiting !== undefined) return waiting.issuer;
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
    if (upstream !== undefined && trustRoot().x509Roots.includes(upstream.root())) {
      const current = newestUnder(this.#held, upstream.root());
      if (current === undefined || clock() >= (current.startsAt + current.expiresAt) / 2) {
        this.#held = [...this.#held, this.#make()];
        log.info(EVENT.issuerRenewed, {});
      }
    }
    this.settle();
  }

  lives(): readonly IssuerLife[] {
    const { trustRoot, clock, upstream } = this.#options;
    const active = newestIssuer(this.#held, trustRoot(), clock());
    const origin = ({ issuer, root }: Held): IssuerLife['origin'] => {
      if (issuer.intermediates.length === 0) return 'own';
      return upstream?.root() === root ? 'upstream' : 'imported';
    };
    return this.#held.map((held) => {
      const { certificateDer, startsAt, expiresAt } = held.issuer;
      const isActive = held.issuer === active;
      return { certificateDer, startsAt, expiresAt, origin: origin(held), isActive };
    });
  }

  // Nothing is signed with an intermediate that expired; what it signed needs its certificate, not its key.
  #isReplaced({ issuer, root }: Held): boolean {
    return newestUnder(this.#held, root) !== issuer && issuer.expiresAt <= this.#options.clock();
  }

  #make(): Held {
    const { keys, upstream, trustRoot, clock } = this.#options;
    const trustDomain = domainOf(trustRoot());
    const made = keys.create();
    const nowMs = clock();
    if (upstream !== undefined) {
      const chainPem = upstream.sign({ publicKeyDer: made.key.publicKeyDer, trustDomain, nowMs });
      return this.#folder.keep(made, chainPem);
    }
    const commonName = `Palisade root of ${trustDomain} of ${new Date(nowMs).toISOString().slice(0, 10)}`;
    const about = { trustDomain, nowMs, ttlMs: ROOT_TTL_MS, commonName, key: made.key };
    return this.#folder.keep(made, createRoot(about).certificatePem);
  }
}

function domainOf({ trustDomain }: TrustRoot): TrustDomain {
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
