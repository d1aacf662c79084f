import { hash } from 'node:crypto';
import { ok, type Result } from '#lib';
import { refuse, type TrustError } from './errors.ts';
import { revocationHash, type VerifiedRevocation, verifyRevocation } from './revocation.ts';
import type { TrustRoot } from './trust-root.ts';

/** What a holder has of one signer's chain: how many entries, and a digest over them in order. */
export type ChainState = {
  readonly issuer: string;
  readonly count: number;
  /** Lower-case hex. */
  readonly digest: string;
};

/** Where a chain is not what it should be; entries are enforced all the same. */
export type ChainProblem = {
  readonly kind: 'gap' | 'fork';
  readonly issuer: string;
  readonly number: number;
};

// SECURITY: signers are few and trusted to deny, not to fill our memory.
const MAX_ENTRIES = 65_536;

type Chain = {
  /** By number, and where a signer forked its chain also by hash. */
  readonly entries: VerifiedRevocation[];
  /** `digests[i]` is over the first `i` entries. */
  digests: string[];
};

/**
 * All revocations known, of all signers. It only grows: what arrives late, twice or in another order comes to the same,
 * so that holders may tell each other in any topology. INVARIANT: an entry counts as soon as it verifies, whatever is
 * missing before it; chains serve to notice what is missing.
 */
export class RevocationSet {
  readonly #chains = new Map<string, Chain>();
  readonly #byHash = new Map<string, VerifiedRevocation>();

  get size(): number {
    return this.#byHash.size;
  }

  /** Every entry, chain by chain, in order. */
  all(): VerifiedRevocation[] {
    return [...this.#chains.values()].flatMap(({ entries }) => entries);
  }

  find(entryHash: string): VerifiedRevocation | undefined {
    return this.#byHash.get(entryHash);
  }

  /** Verifies and takes an entry; undefined if it was known. */
  add(envelope: unknown, trustRoot: TrustRoot): Result<VerifiedRevocation | undefined, TrustError> {
    const entryHash = revocationHash(envelope);
    if (!entryHash.ok) return entryHash;
    // Known ones cost no signature check, for every neighbour repeats them.
    if (this.#byHash.has(entryHash.value)) return ok(undefined);
    const verified = verifyRevocation(envelope, trustRoot);
    if (!verified.ok) return verified;
    if (this.#byHash.size >= MAX_ENTRIES) {
      return refuse('too_large', `more than ${MAX_ENTRIES} revocations`);
    }
    this.#byHash.set(verified.value.hash, verified.value);
    this.#insert(verified.value);
    return ok(verified.value);
  }

  /** What this holder has, chain by chain. */
  states(): ChainState[] {
    return Array.from(this.#chains, ([issuer, chain]) => ({
      issuer,
      count: chain.entries.length,
      digest: digestAt(chain, chain.entries.length),
    }));
  }

  /** One digest over all of it, lower-case hex: equal where two hold the same. */
  digest(): string {
    const states = this.states().map(({ issuer, digest }) => `${issuer} ${digest}`);
    return hash('sha256', states.sort().join('\n'), 'hex');
  }

  /** What somebody with `states` lacks, as far as we know. */
  lackedBy(states: readonly ChainState[]): VerifiedRevocation[] {
    const known = new Map(states.map((state) => [state.issuer, state]));
    return Array.from(this.#chains).flatMap(([issuer, chain]) => {
      const theirs = known.get(issuer);
      if (theirs === undefined) return chain.entries;
      const isPrefix =
        theirs.count <= chain.entries.length && digestAt(chain, theirs.count) === theirs.digest;
      // Neither side may be the other's beginning: then both tell all, and both end up with the union.
      return isPrefix ? chain.entries.slice(theirs.count) : chain.entries;
    });
  }

  /** Whether everything that `states` speaks of is here. */
  covers(states: readonly ChainState[]): boolean {
    return states.every(({ issuer, count, digest }) => {
      const chain = this.#chains.get(issuer);
      if (chain === undefined) return count === 0;
      return count <= chain.entries.length && digestAt(chain, count) === digest;
    });
  }

  /** The end of a signer's chain, on which its next entry stands; undefined before its first. */
  last(issuer: string): VerifiedRevocation | undefined {
    return this.#chains.get(issuer)?.entries.at(-1);
  }

  problems(): ChainProblem[] {
    return Array.from(this.#chains).flatMap(([issuer, { entries }]) => problemsOf(issuer, entries));
  }

  #insert(entry: VerifiedRevocation): void {
    const { issuer } = entry.revocation;
    const chain = this.#chains.get(issuer) ?? { entries: [], digests: [EMPTY] };
    this.#chains.set(issuer, chain);
    let at = chain.entries.length;
    while (at > 0 && isAfter(chain.entries[at - 1], entry)) at--;
    chain.entries.splice(at, 0, entry);
    chain.digests = chain.digests.slice(0, at + 1);
  }
}

const EMPTY = '0'.repeat(64);

function digestAt(chain: Chain, count: number): string {
  for (let i = chain.digests.length; i <= count; i++) {
    const entry = chain.entries[i - 1];
    chain.digests.push(hash('sha256', `${chain.digests[i - 1]}${entry?.hash}`, 'hex'));
  }
  return chain.digests[count] ?? EMPTY;
}

function isAfter(a: VerifiedRevocation | undefined, b: VerifiedRevocation): boolean {
  if (a === undefined) return false;
  const order = a.revocation.number - b.revocation.number;
  return order > 0 || (order === 0 && a.hash > b.hash);
}

function problemsOf(issuer: string, entries: readonly VerifiedRevocation[]): ChainProblem[] {
  const problems: ChainProblem[] = [];
  let before: VerifiedRevocation | undefined;
  for (const entry of entries) {
    const { number, parent } = entry.revocation;
    const expected = (before?.revocation.number ?? 0) + 1;
    if (number < expected) problems.push({ kind: 'fork', issuer, number });
    else if (number > expected) problems.push({ kind: 'gap', issuer, number: expected });
    else if (parent !== (before?.hash ?? null)) problems.push({ kind: 'fork', issuer, number });
    before = entry;
  }
  return problems;
}
