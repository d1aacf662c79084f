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

/** A tree over sorted leaves. INVARIANT: level 0 holds the leaves' hashes, the last level the root alone. */
export type MerkleTree = { readonly levels: readonly (readonly Buffer[])[] };

/**
 * Sorted leaves after a change, in time proportional to their number. Keys are ASCII, where code units and bytes order
 * alike. An undefined leaf is one that was deleted.
 */
export function changeLeaves(
  sorted: readonly Leaf[],
  changes: ReadonlyMap<string, Leaf | undefined>,
): Leaf[] {
  const fresh = [...changes.values()].filter((leaf) => leaf !== undefined);
  fresh.sort((a, b) => (a.key < b.key ? -1 : 1));
  const merged: Leaf[] = [];
  let next = 0;
  for (const leaf of sorted) {
    if (changes.has(leaf.key)) continue;
    for (let one = fresh[next]; one !== undefined && one.key < leaf.key; one = fresh[++next]) {
      merged.push(one);
    }
    merged.push(leaf);
  }
  return [...merged, ...fresh.slice(next)];
}

/** The tree over sorted leaves; what is as in `before` is not hashed again. */
export function buildTree(leaves: readonly Leaf[], before?: MerkleTree): MerkleTree {
  if (leaves.length === 0) return { levels: [[], [sha256(EMPTY)]] };
  const levels: Buffer[][] = [leaves.map((leaf) => leaf.hash)];
  for (let level = levels[0]; level !== undefined && level.length > 1; level = levels.at(-1)) {
    const depth = levels.length;
    levels.push(levelAbove(level, before?.levels[depth - 1], before?.levels[depth]));
  }
  return { levels };
}

/** The root of a tree. */
export function rootOf(tree: MerkleTree): Buffer {
  const root = tree.levels.at(-1)?.[0];
  if (root === undefined) throw new Error('a tree without a root');
  return root;
}

/** The sibling hashes from the leaf at `index` up to the root (RFC 9162 section 2.1.3.1). */
export function pathOf(tree: MerkleTree, index: number): Buffer[] {
  const path: Buffer[] = [];
  let at = index;
  for (const level of tree.levels.slice(0, -1)) {
    // A last node without sibling moves up as it is.
    const sibling = level[at % 2 === 0 ? at + 1 : at - 1];
    if (sibling !== undefined) path.push(sibling);
    at = Math.floor(at / 2);
  }
  return path;
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

// Pairing from the left and moving an odd last node up gives RFC 9162's tree, whose left half is the largest power of 2.
function levelAbove(
  level: readonly Buffer[],
  levelBefore: readonly Buffer[] | undefined,
  aboveBefore: readonly Buffer[] | undefined,
): Buffer[] {
  const above: Buffer[] = [];
  for (let i = 0; i < level.length; i += 2) {
    const left = level[i];
    const right = level[i + 1];
    if (left === undefined) break;
    const known = aboveBefore?.[i / 2];
    const isSame = levelBefore?.[i] === left && levelBefore[i + 1] === right;
    if (right === undefined) above.push(left);
    else above.push(isSame && known !== undefined ? known : nodeHash(left, right));
  }
  return above;
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return sha256(Buffer.concat([NODE, left, right], 1 + left.length + right.length));
}

function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}
