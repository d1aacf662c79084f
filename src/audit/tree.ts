import { hash } from 'node:crypto';

// The tree of RFC 6962 section 2.1 (RFC 9162 section 2.1 has the same), over leaves in the order they were logged. Hashes
// are lower-case hex throughout: so they travel, so they lie in the files.

/** Root of the subtree over the leaves from `first` up to, not including, `end`; `first < end`. */
export type RangeRoot = (first: number, end: number) => string;

/** The root of a tree without leaves. */
export const EMPTY_ROOT = hash('sha256', '', 'hex');

// SECURITY: leaves and nodes hash in domains of their own (RFC 6962 section 2.1), so that neither poses as the other.
const node = Buffer.alloc(65);
node[0] = 1;

/** The hash of a node over its two children. */
export function nodeHash(left: string, right: string): string {
  node.write(left, 1, 'hex');
  node.write(right, 33, 'hex');
  return hash('sha256', node, 'hex');
}

/** The leaf of an entry that has a hash of its own: over that hash (RFC 6962 section 2.1). */
export function leafOfHash(digest: string): string {
  return hash('sha256', Buffer.from(`00${digest}`, 'hex'), 'hex');
}

/** The tree over leaves that only grow in number, in as many hashes as the size has bits set. */
export class Frontier {
  /** Roots of perfect subtrees, the largest and oldest first. */
  readonly #roots: string[];
  #size: number;

  /** Of nothing, or of a tree of which `hashes` are what `hashes()` gave. */
  constructor(size = 0, hashes: readonly string[] = []) {
    if (hashes.length !== bitsOf(size)) throw new Error('a frontier that is not of its size');
    this.#size = size;
    this.#roots = [...hashes];
  }

  get size(): number {
    return this.#size;
  }

  hashes(): readonly string[] {
    return [...this.#roots];
  }

  copy(): Frontier {
    return new Frontier(this.#size, this.#roots);
  }

  push(leaf: string): void {
    let joined = leaf;
    // Each trailing bit that is set is a perfect subtree of the same size as what is joined so far.
    for (let rest = this.#size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      joined = nodeHash(this.#roots.pop() ?? '', joined);
    }
    this.#roots.push(joined);
    this.#size += 1;
  }

  /** Adds a perfect subtree of `count` leaves (a power of two by which the size can be divided). */
  pushPerfect(root: string, count: number): void {
    if (this.#size % count !== 0) throw new Error('a subtree that does not fit here');
    let joined = root;
    for (let rest = this.#size / count; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      joined = nodeHash(this.#roots.pop() ?? '', joined);
    }
    this.#roots.push(joined);
    this.#size += count;
  }

  /** This tree and, after its leaves, those of another that has no more than the smallest subtree here. */
  followedBy(rest: Frontier): Frontier {
    const joined = this.copy();
    let left = rest.size;
    for (const root of rest.#roots) {
      const count = left === 1 ? 1 : splitOf(left + 1);
      joined.pushPerfect(root, count);
      left -= count;
    }
    return joined;
  }

  root(): string {
    const last = this.#roots.at(-1);
    if (last === undefined) return EMPTY_ROOT;
    return this.#roots.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last);
  }
}

/** Root over leaves that are all in memory. */
export function rootOfLeaves(leaves: readonly string[]): string {
  let level = leaves;
  while (level.length > 1) {
    const above: string[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const left = level[i] ?? '';
      const right = level[i + 1];
      // RFC 6962 splits at the largest power of two: an odd last node moves up as it is.
      above.push(right === undefined ? left : nodeHash(left, right));
    }
    level = above;
  }
  return level[0] ?? EMPTY_ROOT;
}

/** That the leaf at `index` is in the tree of `size` leaves (RFC 6962 section 2.1.1). */
export function inclusionProof(index: number, size: number, rootOf: RangeRoot): string[] {
  const path: string[] = [];
  let first = 0;
  let end = size;
  while (end - first > 1) {
    const middle = first + splitOf(end - first);
    if (index < middle) {
      path.push(rootOf(middle, end));
      end = middle;
    } else {
      path.push(rootOf(first, middle));
      first = middle;
    }
  }
  return path.reverse();
}

/** That the tree of `size` leaves continues that of the first `from` of them (RFC 6962 section 2.1.2). */
export function consistencyProof(from: number, size: number, rootOf: RangeRoot): string[] {
  if (from <= 0 || from >= size) return [];
  const proof: string[] = [];
  let first = 0;
  let end = size;
  // Whether the subtree at hand is the left edge, whose root at `from` the verifier knows already.
  let isWhole = true;
  while (from !== end) {
    const middle = first + splitOf(end - first);
    if (from <= middle) {
      proof.push(rootOf(middle, end));
      end = middle;
    } else {
      proof.push(rootOf(first, middle));
      first = middle;
      isWhole = false;
    }
  }
  if (!isWhole) proof.push(rootOf(first, end));
  return proof.reverse();
}

/** The root that a leaf's path leads to (RFC 9162 section 2.1.3.2); undefined if the path is not of such a tree. */
export function rootFromInclusion(
  leaf: string,
  at: { readonly index: number; readonly size: number },
  path: readonly string[],
): string | undefined {
  if (at.index < 0 || at.index >= at.size) return undefined;
  let fn = at.index;
  let sn = at.size - 1;
  let root = leaf;
  for (const sibling of path) {
    if (sn === 0) return undefined;
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(sibling, root);
      [fn, sn] = withoutZeros(fn, sn);
    } else {
      root = nodeHash(root, sibling);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 ? root : undefined;
}

/** A tree as its size and root. */
export type TreeHead = { readonly size: number; readonly root: string };

/** Whether `proof` shows that `later` continues `earlier` (RFC 9162 section 2.1.4.2). */
export function isConsistent(
  earlier: TreeHead,
  later: TreeHead,
  proof: readonly string[],
): boolean {
  if (earlier.size > later.size) return false;
  if (earlier.size === later.size) return earlier.root === later.root && proof.length === 0;
  if (earlier.size === 0) return earlier.root === EMPTY_ROOT && proof.length === 0;
  // Where the earlier tree is perfect, its root begins the proof and is left out.
  const path = isPowerOfTwo(earlier.size) ? [earlier.root, ...proof] : proof;
  const [seed, ...rest] = path;
  if (seed === undefined) return false;
  let fn = earlier.size - 1;
  let sn = later.size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let before = seed;
  let after = seed;
  for (const sibling of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      before = nodeHash(sibling, before);
      after = nodeHash(sibling, after);
      [fn, sn] = withoutZeros(fn, sn);
    } else {
      after = nodeHash(after, sibling);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && before === earlier.root && after === later.root;
}

/** How many hashes a frontier of `size` leaves has. */
export function bitsOf(size: number): number {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}

/** The largest power of two below `count` (at least 2). */
export function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

// A node that was the last of its level moved up without a sibling as long as its index was even.
function withoutZeros(fn: number, sn: number): [number, number] {
  let [first, last] = [fn, sn];
  while (first % 2 === 0 && first !== 0) {
    first = Math.floor(first / 2);
    last = Math.floor(last / 2);
  }
  return [first, last];
}

function isPowerOfTwo(count: number): boolean {
  return bitsOf(count) === 1;
}
