import { hash } from 'node:crypto';

// The tree of RFC 9162 (Certificate Transparency 2.0), section 2.1, over leaves sorted by key. Its shape follows
// from the number of leaves, which the signed commit tells, so that a proof cannot be about a tree of another size.

/** One resource in the tree. */
export type Leaf = {
  /** `Kind/name`, ASCII. */
  readonly key: string;
  /** SHA-256 of the resource's canonical JSON. */
  readonly digest: Buffer;
  /** The leaf's own hash, over key and digest. */
  readonly hash: Buffer;
};

// SECURITY: leaves, nodes and the empty tree hash in domains of their own, so that none can pose as another.
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
const EMPTY = Buffer.of(2);

/** The leaf of a resource with this key and canonical JSON. */
export function leafOf(key: string, canonical: string): Leaf {
  const digest = sha256(Buffer.from(canonical));
  return { key, digest, hash: leafHash(key, digest) };
}

/** The hash of a leaf. The digest has a fixed length, so key and digest cannot trade bytes. */
export function leafHash(key: string, digest: Uint8Array): Buffer {
  return sha256(Buffer.concat([LEAF, digest, Buffer.from(key)]));
}

/** Puts leaves in the tree's order: by the bytes of their keys. */
export function sortLeaves(leaves: Iterable<Leaf>): Leaf[] {
  // Keys are ASCII, where code units and bytes order alike.
  return [...leaves].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** The root over the hashes of sorted leaves. */
export function merkleRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return sha256(EMPTY);
  return subtreeRoot(hashes, 0, hashes.length);
}

/** The sibling hashes from the leaf at `index` up to the root (RFC 9162 section 2.1.3.1). */
export function merklePath(hashes: readonly Buffer[], index: number): Buffer[] {
  return pathIn(hashes, { start: 0, end: hashes.length }, index);
}

/** The root that a leaf's path leads to (RFC 9162 section 2.1.3.2); undefined if the path has not the tree's length. */
export function rootFromPath(
  leaf: Buffer,
  position: { readonly index: number; readonly size: number },
  path: readonly Buffer[],
): Buffer | undefined {
  if (position.index >= position.size) return undefined;
  let fn = position.index;
  let sn = position.size - 1;
  let root = leaf;
  for (const sibling of path) {
    if (sn === 0) return undefined;
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(sibling, root);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      root = nodeHash(root, sibling);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 ? root : undefined;
}

function subtreeRoot(hashes: readonly Buffer[], start: number, end: number): Buffer {
  const only = hashes[start];
  if (end - start === 1 && only !== undefined) return only;
  const middle = start + largestPowerBelow(end - start);
  return nodeHash(subtreeRoot(hashes, start, middle), subtreeRoot(hashes, middle, end));
}

function pathIn(
  hashes: readonly Buffer[],
  range: { readonly start: number; readonly end: number },
  index: number,
): Buffer[] {
  const { start, end } = range;
  if (end - start <= 1) return [];
  const middle = start + largestPowerBelow(end - start);
  return index < middle
    ? [...pathIn(hashes, { start, end: middle }, index), subtreeRoot(hashes, middle, end)]
    : [...pathIn(hashes, { start: middle, end }, index), subtreeRoot(hashes, start, middle)];
}

function largestPowerBelow(count: number): number {
  return 2 ** (31 - Math.clz32(count - 1));
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return sha256(Buffer.concat([NODE, left, right], 1 + left.length + right.length));
}

function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}
