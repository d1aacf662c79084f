import { ok, type Result } from '#lib';
import { encodeCanonicalJson } from './canonical-json.ts';
import {
  checkExpiry,
  type OpenCommit,
  openCommit,
  type VerifiedHead,
  verifyCommit,
} from './commit.ts';
import { refuse, type TrustError } from './errors.ts';
import { buildTree, changeLeaves, type Leaf, leafOf, type MerkleTree, rootOf } from './merkle.ts';
import { isResourceKey, resourceIdentity } from './resource-key.ts';
import { isRecord } from './shape.ts';
import type { TrustRoot } from './trust-root.ts';

declare const verified: unique symbol;

/** One namespace's whole policy. INVARIANT: only `applyUpdate` makes one, so it exists only verified. */
export type PolicySet = {
  readonly namespace: string;
  readonly head: VerifiedHead;
  /** `Kind/name` to JSON; frozen in effect: nobody may change what is in it. */
  readonly resources: ReadonlyMap<string, unknown>;
  /** In the tree's order. */
  readonly leaves: readonly Leaf[];
  readonly tree: MerkleTree;
  readonly [verified]: true;
};

/** What travels: the commits since the known one, and the resources that changed. */
export type PolicySetUpdate = {
  readonly namespace: string;
  /**
   * DSSE envelopes, oldest first, from the one after the known one to the head; for somebody who knows nothing the
   * head alone. Unverified.
   */
  readonly commits: readonly unknown[];
  /** `changes` holds every resource, instead of those that changed since the known commit. */
  readonly full: boolean;
  /** An undefined resource was deleted. */
  readonly changes: readonly ResourceChange[];
};

/** One resource that changed; undefined: deleted. */
export type ResourceChange = { readonly key: string; readonly resource: unknown };

const MAX_COMMITS = 10_000;
const MAX_RESOURCES = 100_000;
const MAX_RESOURCE_CHARACTERS = 1024 * 1024;

/**
 * The set after an update, or why the update is refused; `current` is untouched either way. Everything in `update`
 * may be hostile. An update whose head is `current`'s changes nothing.
 *
 * The head must carry the threshold of signatures. The commits between are held by it: each signed head names its
 * parent's hash, so its signers vouch for the history, even where a key of that history was withdrawn since.
 */
export function applyUpdate(
  current: PolicySet | undefined,
  update: PolicySetUpdate,
  trustRoot: TrustRoot,
  nowMs: number,
): Result<PolicySet, TrustError> {
  const shape = checkShape(update);
  if (!shape.ok) return shape;
  if (current !== undefined && current.namespace !== update.namespace) {
    return refuse('wrong_namespace', `an update of \`${update.namespace}\``);
  }
  const chain = openChain(update.commits);
  if (!chain.ok) return chain;
  const last = chain.value.at(-1);
  if (last === undefined) return refuse('malformed', 'an update without a commit');
  const head = verifyCommit(last, update.namespace, trustRoot);
  if (!head.ok) return head;
  if (current !== undefined && head.value.hash === current.head.hash) return ok(current);
  const continued = checkContinuity(current, chain.value, update.full);
  if (!continued.ok) return continued;
  const fresh = checkExpiry(head.value, nowMs);
  if (!fresh.ok) return fresh;
  return buildSet(update.full ? undefined : current, update, fresh.value);
}

/** All of a set as an update, e.g. to keep it on disk: `applyUpdate(undefined, …)` reads it back, verifying it. */
export function fullUpdate(set: PolicySet): PolicySetUpdate {
  return {
    namespace: set.namespace,
    commits: [set.head.envelope],
    full: true,
    changes: Array.from(set.resources, ([key, resource]) => ({ key, resource })),
  };
}

function checkShape(update: PolicySetUpdate): Result<true, TrustError> {
  const value: unknown = update;
  if (
    !isRecord(value) ||
    typeof value['namespace'] !== 'string' ||
    typeof value['full'] !== 'boolean' ||
    !Array.isArray(value['commits']) ||
    !Array.isArray(value['changes'])
  ) {
    return refuse('malformed', 'not an update of a policy set');
  }
  if (value['commits'].length > MAX_COMMITS || value['changes'].length > MAX_RESOURCES) {
    return refuse('too_large', 'an update with too many commits or resources');
  }
  const keys = new Set<string>();
  for (const change of value['changes'] as readonly unknown[]) {
    if (!isRecord(change) || !isResourceKey(change['key'])) {
      return refuse('malformed', 'a change without a `Kind/name`');
    }
    keys.add(change['key']);
  }
  // SECURITY: a key that comes twice could be judged by its first resource and enforced by its last.
  if (keys.size !== value['changes'].length) return refuse('malformed', 'a resource came twice');
  return ok(true);
}

function openChain(envelopes: readonly unknown[]): Result<readonly OpenCommit[], TrustError> {
  const chain: OpenCommit[] = [];
  for (const envelope of envelopes) {
    const opened = openCommit(envelope);
    if (!opened.ok) return opened;
    const before = chain.at(-1);
    const { commit, hash } = opened.value;
    const about = { number: commit.number, hash };
    if (before !== undefined && commit.number !== before.commit.number + 1) {
      const message = `commit ${commit.number} came after commit ${before.commit.number}`;
      return refuse('gap', message, about);
    }
    if (before !== undefined && commit.parent !== before.hash) {
      return refuse('fork', `commit ${commit.number} has another parent than came with it`, about);
    }
    chain.push(opened.value);
  }
  return ok(chain);
}

function checkContinuity(
  current: PolicySet | undefined,
  chain: readonly OpenCommit[],
  full: boolean,
): Result<true, TrustError> {
  const first = chain[0];
  const last = chain.at(-1);
  if (first === undefined || last === undefined) return refuse('malformed', 'no commit');
  const about = { number: last.commit.number, hash: last.hash };
  if (current === undefined) {
    return full ? ok(true) : refuse('gap', 'a change of a set that is not held here', about);
  }
  const known = current.head;
  if (last.commit.number < known.number) {
    const message = `commit ${last.commit.number} is older than ${known.number}, which is enforced`;
    return refuse('version_rollback', message, about);
  }
  if (last.commit.number === known.number) {
    return refuse('fork', `another commit ${known.number} is enforced already`, about);
  }
  if (first.commit.number > known.number + 1) {
    const message = `commit ${first.commit.number} does not continue from ${known.number}`;
    return refuse('gap', message, about);
  }
  // Commits that are known already may come again; the one after the known one must name it.
  const next = chain[known.number + 1 - first.commit.number];
  if (next?.commit.parent === known.hash) return ok(true);
  return refuse('fork', `commit ${known.number + 1} continues from another ${known.number}`, about);
}

function buildSet(
  base: PolicySet | undefined,
  update: PolicySetUpdate,
  head: VerifiedHead,
): Result<PolicySet, TrustError> {
  const about = { number: head.number, hash: head.hash };
  const resources = new Map(base?.resources);
  const changed = new Map<string, Leaf | undefined>();
  for (const { key, resource } of update.changes) {
    if (resource === undefined) {
      resources.delete(key);
      changed.set(key, undefined);
      continue;
    }
    const canonical = checkResource(update.namespace, key, resource);
    if (!canonical.ok) return refuse(canonical.error.code, canonical.error.message, about);
    changed.set(key, leafOf(key, canonical.value));
    // A copy made from what was hashed: no one who holds the original can change the set.
    resources.set(key, JSON.parse(canonical.value));
  }
  const leaves = changeLeaves(base?.leaves ?? [], changed);
  const tree = buildTree(leaves, base?.tree);
  if (leaves.length !== head.commit.size || rootOf(tree).toString('hex') !== head.commit.root) {
    const message = `the resources that came with commit ${head.number} are not those it signs`;
    return refuse('root_mismatch', message, about);
  }
  const set = { namespace: update.namespace, head, resources, leaves, tree };
  return ok(set as unknown as PolicySet);
}

/** The canonical JSON of a resource that is what its key and namespace say. */
export function checkResource(
  namespace: string,
  key: string,
  resource: unknown,
): Result<string, TrustError> {
  const identity = resourceIdentity(resource);
  if (!identity.ok) return refuse('malformed', identity.error);
  if (identity.value.namespace !== namespace) {
    return refuse(
      'wrong_namespace',
      `\`${key}\` says it is of \`${identity.value.namespace.slice(0, 63)}\``,
    );
  }
  if (identity.value.key !== key) {
    return refuse('malformed', `\`${key}\` came as \`${identity.value.key}\``);
  }
  const canonical = encodeCanonicalJson(resource);
  if (!canonical.ok) return refuse('malformed', `\`${key}\`: ${canonical.error}`);
  if (canonical.value.length > MAX_RESOURCE_CHARACTERS) {
    return refuse('too_large', `\`${key}\` has more than ${MAX_RESOURCE_CHARACTERS} characters`);
  }
  return ok(canonical.value);
}
