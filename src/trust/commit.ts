import { hash } from 'node:crypto';
import { ok, type Result } from '#lib';
import { canonicalJson } from './canonical-json.ts';
import {
  type DsseEnvelope,
  type OpenEnvelope,
  openEnvelope,
  preAuthEncoding,
  signEnvelope,
  signersOf,
} from './dsse.ts';
import { refuse, type TrustError, TrustPromiseError } from './errors.ts';
import { buildTree, changeLeaves, type Leaf, leafOf, rootOf } from './merkle.ts';
import type { PolicySigner } from './policy-key.ts';
import { resourceIdentity } from './resource-key.ts';
import { hasExactly, isCount, isDigest, isInstant, isNamespace, isText } from './shape.ts';
import { allKeys, CLOCK_SKEW_MS, keysFor, type TrustRoot } from './trust-root.ts';

/** One signed state of a namespace's policy. Instants are ISO 8601, UTC, milliseconds. */
export type Commit = {
  /** SECURITY: an author's key may serve two meshes; a commit is good in one of them only. */
  readonly trustDomain: string;
  readonly namespace: string;
  /** From 1, without gaps. */
  readonly number: number;
  /** Hash of the commit before; null for number 1. */
  readonly parent: string | null;
  readonly author: string;
  readonly time: string;
  /** From then on the set is refused where it arrives, unless a later commit renewed it. */
  readonly expires: string;
  /** Merkle root over the resources, lower-case hex. */
  readonly root: string;
  /** How many resources there are. */
  readonly size: number;
  readonly message?: string;
};

/** A commit that was verified, with its hash (lower-case hex) and the envelope it came in. */
export type VerifiedHead = {
  readonly number: number;
  readonly hash: string;
  readonly commit: Commit;
  readonly envelope: DsseEnvelope;
};

/** What an author signs: the whole set after the change, on top of `parent` (undefined: the first commit). */
export type CommitOptions = {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly parent: VerifiedHead | undefined;
  /** `Kind/name` to JSON. */
  readonly resources: ReadonlyMap<string, unknown>;
  readonly author: string;
  readonly nowMs: number;
  readonly ttlMs: number;
  readonly message?: string;
  readonly signer: PolicySigner;
};

/** DSSE's payload type of a commit. */
const COMMIT_TYPE = 'application/vnd.palisade.policy-commit+json';

/** How long a commit is good unless its author says otherwise: 90 days. */
export const DEFAULT_COMMIT_TTL_MS = 90 * 24 * 3_600_000;

const MEMBERS = [
  'trustDomain',
  'namespace',
  'number',
  'parent',
  'author',
  'time',
  'expires',
  'root',
  'size',
];

/** Makes and signs the next commit. Throws `TrustPromiseError` for resources that no set may hold. */
export function createCommit(options: CommitOptions): {
  envelope: DsseEnvelope;
  hash: string;
  commit: Commit;
} {
  const { parent, resources } = options;
  const commit: Commit = {
    trustDomain: options.trustDomain,
    namespace: options.namespace,
    number: (parent?.number ?? 0) + 1,
    parent: parent?.hash ?? null,
    author: options.author,
    time: new Date(options.nowMs).toISOString(),
    expires: new Date(options.nowMs + options.ttlMs).toISOString(),
    root: signedRoot(options.namespace, resources),
    size: resources.size,
    ...(options.message === undefined ? {} : { message: options.message }),
  };
  const checked = parseCommit(commit);
  if (!checked.ok) throw new TrustPromiseError(checked.error.code, checked.error.message);
  const text = canonicalJson(commit);
  return {
    envelope: signEnvelope(COMMIT_TYPE, text, [options.signer]),
    hash: hashOf(preAuthEncoding(COMMIT_TYPE, Buffer.from(text))),
    commit,
  };
}

/** A commit that was read but not verified. */
export type OpenCommit = {
  readonly commit: Commit;
  readonly hash: string;
  readonly open: OpenEnvelope;
};

/** Reads a commit's envelope; its shape is good then, its signatures are not checked. */
export function openCommit(envelope: unknown): Result<OpenCommit, TrustError> {
  const open = openEnvelope(envelope, COMMIT_TYPE);
  if (!open.ok) return open;
  const commit = parseCommit(open.value.payload);
  if (!commit.ok) return commit;
  return ok({ commit: commit.value, hash: hashOf(open.value.signedBytes), open: open.value });
}

/** Whether a commit is for this trust domain and namespace and signed by enough of the keys that may. */
export function verifyCommit(
  { commit, hash, open }: OpenCommit,
  namespace: string,
  trustRoot: TrustRoot,
): Result<VerifiedHead, TrustError> {
  const about = { number: commit.number, hash };
  if (commit.trustDomain !== trustRoot.trustDomain) {
    const message = `commit ${commit.number} is for trust domain \`${commit.trustDomain}\``;
    return refuse('wrong_trust_domain', message, about);
  }
  if (commit.namespace !== namespace) {
    const message = `commit ${commit.number} is for namespace \`${commit.namespace}\``;
    return refuse('wrong_namespace', message, about);
  }
  const signers = signersOf(open, keysFor(trustRoot, namespace)).size;
  if (signers >= trustRoot.threshold) {
    return ok({ number: commit.number, hash, commit, envelope: open.envelope });
  }
  const needed = `${signers} of ${trustRoot.threshold} needed signatures`;
  if (signersOf(open, allKeys(trustRoot)).size >= trustRoot.threshold) {
    const message = `commit ${commit.number} has ${needed} by keys that may sign for \`${namespace}\``;
    return refuse('key_not_allowed', message, about);
  }
  return refuse('signature_threshold', `commit ${commit.number} has ${needed}`, about);
}

/** Refuses a commit that is past its expiry by more than the forgiven skew. */
export function checkExpiry(head: VerifiedHead, nowMs: number): Result<VerifiedHead, TrustError> {
  if (nowMs < Date.parse(head.commit.expires) + CLOCK_SKEW_MS) return ok(head);
  const now = new Date(nowMs).toISOString();
  const message = `commit ${head.number} expired at ${head.commit.expires}; this clock says ${now}`;
  return refuse('expired', message, { number: head.number, hash: head.hash });
}

function parseCommit(value: unknown): Result<Commit, TrustError> {
  const bad = (message: string) => refuse('malformed', `commit: ${message}`);
  if (!hasExactly(value, MEMBERS, ['message'])) return bad('members are missing or unknown');
  const { number, parent, time, expires } = value;
  if (!isText(value['trustDomain'], 255)) return bad('`trustDomain` is no text');
  if (!isNamespace(value['namespace'])) return bad('`namespace` is not the name of one');
  if (!isCount(number, 1)) return bad('`number` is not a whole number from 1');
  if (!(number === 1 ? parent === null : isDigest(parent))) {
    return bad('`parent` is not the hash of the commit before');
  }
  if (!isText(value['author'], 320)) return bad('`author` is no text');
  if (!isInstant(time) || !isInstant(expires) || expires <= time) {
    return bad('`time` and `expires` are not instants in this order');
  }
  if (!isDigest(value['root'])) return bad('`root` is not a digest');
  if (!isCount(value['size'], 0)) return bad('`size` is not a whole number');
  if (value['message'] !== undefined && !isText(value['message'], 10_000)) {
    return bad('`message` is no text');
  }
  return ok(value as unknown as Commit);
}

function signedRoot(namespace: string, resources: ReadonlyMap<string, unknown>): string {
  const leaves = new Map<string, Leaf>();
  for (const [key, resource] of resources) {
    const identity = resourceIdentity(resource);
    if (!identity.ok) throw new TrustPromiseError('malformed', identity.error);
    if (identity.value.namespace !== namespace || identity.value.key !== key) {
      throw new TrustPromiseError('wrong_namespace', `\`${key}\` is not what the resource says`);
    }
    leaves.set(key, leafOf(key, canonicalJson(resource)));
  }
  return rootOf(buildTree(changeLeaves([], leaves))).toString('hex');
}

function hashOf(signedBytes: Uint8Array): string {
  return hash('sha256', signedBytes, 'hex');
}
