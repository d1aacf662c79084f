import { ok, type Result } from '#lib';
import { checkExpiry, openCommit, type VerifiedHead, verifyCommit } from './commit.ts';
import type { DsseEnvelope } from './dsse.ts';
import { refuse, type TrustError } from './errors.ts';
import { type Leaf, leafHash, leafOf, pathOf, rootFromPath } from './merkle.ts';
import { checkResource, type PolicySet } from './policy-set.ts';
import { isResourceKey } from './resource-key.ts';
import { hasExactly, isCount, isDigest } from './shape.ts';
import type { TrustRoot } from './trust-root.ts';

/** That the resource that came along is the leaf at `index`. Hashes are lower-case hex, siblings first. */
export type InclusionProof = {
  readonly kind: 'inclusion';
  readonly index: number;
  readonly path: readonly string[];
};

/** That no leaf has the key: the two next to where it would be are neighbours. An empty set has neither. */
export type AbsenceProof = {
  readonly kind: 'absence';
  readonly before: NeighbourProof | null;
  readonly after: NeighbourProof | null;
};

/** A leaf shown for its key alone; `digest` is of its resource. */
type NeighbourProof = {
  readonly key: string;
  readonly digest: string;
  readonly index: number;
  readonly path: readonly string[];
};

/** One resource of a set, or its absence, with the proof that leads to a signed commit. */
export type LookupAnswer = {
  readonly commit: DsseEnvelope;
  /** Undefined: there is none. */
  readonly resource: unknown;
  readonly proof: InclusionProof | AbsenceProof;
};

/** What was asked, and what the asker knows of the namespace from earlier answers. */
export type LookupQuestion = {
  readonly namespace: string;
  /** `Kind/name` */
  readonly key: string;
  readonly trustRoot: TrustRoot;
  readonly nowMs: number;
  readonly known?: { readonly number: number; readonly hash: string };
};

const MAX_PATH = 64;

/** Answers a lookup of `key` out of a verified set. */
export function proveResource(set: PolicySet, key: string): LookupAnswer {
  const path = (index: number) => pathOf(set.tree, index).map((node) => node.toString('hex'));
  const found = set.leaves.findIndex((leaf) => leaf.key >= key);
  const after = found < 0 ? set.leaves.length : found;
  const commit = set.head.envelope;
  if (set.leaves[after]?.key === key) {
    const proof = { kind: 'inclusion', index: after, path: path(after) } as const;
    return { commit, resource: set.resources.get(key), proof };
  }
  const neighbour = (index: number): NeighbourProof | null => {
    const leaf: Leaf | undefined = set.leaves[index];
    if (leaf === undefined) return null;
    return { key: leaf.key, digest: leaf.digest.toString('hex'), index, path: path(index) };
  };
  const proof = { kind: 'absence', before: neighbour(after - 1), after: neighbour(after) } as const;
  return { commit, resource: undefined, proof };
}

/**
 * The resource an answer proves, or undefined where it proves there is none; or why the answer is refused. Everything
 * in `answer` may be hostile. `number` and `hash` are to be known at the next lookup in this namespace.
 */
export function verifyLookup(
  answer: { readonly commit: unknown; readonly resource?: unknown; readonly proof: unknown },
  question: LookupQuestion,
): Result<{ resource: unknown; number: number; hash: string }, TrustError> {
  const opened = openCommit(answer.commit);
  if (!opened.ok) return opened;
  const verified = verifyCommit(opened.value, question.namespace, question.trustRoot);
  if (!verified.ok) return verified;
  const fresh = checkExpiry(verified.value, question.nowMs);
  if (!fresh.ok) return fresh;
  const head = fresh.value;
  const newer = checkKnown(head, question.known);
  if (!newer.ok) return newer;
  const proven =
    answer.resource === undefined
      ? checkAbsence(head, question.key, answer.proof)
      : checkInclusion(head, question.key, answer.resource, answer.proof);
  if (!proven.ok) {
    const about = { number: head.number, hash: head.hash };
    return refuse(proven.error.code, proven.error.message, about);
  }
  return ok({ resource: proven.value, number: head.number, hash: head.hash });
}

function checkKnown(head: VerifiedHead, known: LookupQuestion['known']): Result<true, TrustError> {
  const about = { number: head.number, hash: head.hash };
  if (known === undefined || head.number > known.number) return ok(true);
  if (head.number < known.number) {
    const message = `an answer out of commit ${head.number}, after one out of ${known.number}`;
    return refuse('version_rollback', message, about);
  }
  if (head.hash === known.hash) return ok(true);
  return refuse('fork', `an answer out of another commit ${known.number}`, about);
}

function checkInclusion(
  head: VerifiedHead,
  key: string,
  resource: unknown,
  proof: unknown,
): Result<unknown, TrustError> {
  const canonical = checkResource(head.commit.namespace, key, resource);
  if (!canonical.ok) return canonical;
  if (!hasExactly(proof, ['kind', 'index', 'path']) || proof['kind'] !== 'inclusion') {
    return refuse('proof_invalid', `no proof that \`${key}\` is in the set`);
  }
  if (!leadsToRoot(head, leafOf(key, canonical.value).hash, proof)) {
    return refuse('proof_invalid', `the proof of \`${key}\` does not lead to the signed root`);
  }
  return ok(JSON.parse(canonical.value));
}

function checkAbsence(
  head: VerifiedHead,
  key: string,
  proof: unknown,
): Result<undefined, TrustError> {
  const bad = (why: string) =>
    refuse('proof_invalid', `the absence of \`${key.slice(0, 320)}\`: ${why}`);
  if (!hasExactly(proof, ['kind', 'before', 'after']) || proof['kind'] !== 'absence') {
    return bad('no proof came');
  }
  const before = parseNeighbour(proof['before']);
  const after = parseNeighbour(proof['after']);
  if (before === undefined || after === undefined) return bad('the proof is malformed');
  const { size } = head.commit;
  // INVARIANT: with nothing before, the key would be the first; with nothing after, the last.
  const at = before === null ? 0 : before.index + 1;
  if ((after === null ? size : after.index) !== at) return bad('the leaves are not neighbours');
  if ((before !== null && before.key >= key) || (after !== null && after.key <= key)) {
    return bad('the leaves do not enclose it');
  }
  const shown = [before, after].filter((neighbour) => neighbour !== null);
  const good = shown.every((neighbour) =>
    leadsToRoot(head, leafHash(neighbour.key, Buffer.from(neighbour.digest, 'hex')), neighbour),
  );
  return good ? ok(undefined) : bad('the proof does not lead to the signed root');
}

function parseNeighbour(value: unknown): NeighbourProof | null | undefined {
  if (value === null) return null;
  if (!hasExactly(value, ['key', 'digest', 'index', 'path'])) return undefined;
  if (!isResourceKey(value['key']) || !isDigest(value['digest']) || !isCount(value['index'], 0)) {
    return undefined;
  }
  return value as unknown as NeighbourProof;
}

function leadsToRoot(
  head: VerifiedHead,
  leaf: Buffer,
  proof: { readonly index?: unknown; readonly path?: unknown },
): boolean {
  const { index, path } = proof;
  if (!isCount(index, 0) || !Array.isArray(path) || path.length > MAX_PATH) return false;
  if (!path.every(isDigest)) return false;
  const siblings = path.map((node) => Buffer.from(node, 'hex'));
  const root = rootFromPath(leaf, { index, size: head.commit.size }, siblings);
  return root?.toString('hex') === head.commit.root;
}
