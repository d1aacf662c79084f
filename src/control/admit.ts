import type { TrustDomain } from '#identity';
import { fail, ok, type Result } from '#lib';
import { ROOT_NAMESPACE } from '#resource';
import {
  applyUpdate,
  canonicalJson,
  type PolicySet,
  type TrustError,
  type TrustRoot,
} from '#trust';
import { checkResources, type ResourceProblem } from './check-resources.ts';
import type { PolicySets } from './policy-sets.ts';
import type { ResourceView } from './resource-sets.ts';
import type { Store, StoredChange, StoredCommit } from './store.ts';
import type { SetHead } from './updates.ts';

/** A signed commit as delivered; a `resource` of null is deleted. */
export type AdmissionRequest = {
  readonly namespace: string;
  readonly envelope: unknown;
  readonly changes: readonly SubmittedChange[];
  /** The head the author built on; null: there was none. */
  readonly expectedParent: string | null;
  /** Name of the admin who delivers it. */
  readonly from: string;
  /** Check everything, store nothing. */
  readonly dryRun: boolean;
};

/** One resource of a commit. */
export type SubmittedChange = {
  readonly key: string;
  readonly resource: unknown;
  readonly source?: string | undefined;
};

/** What is in force now (or would be, after a dry run). */
export type Admitted = SetHead & {
  readonly namespace: string;
  readonly changes: readonly Pick<StoredChange, 'key' | 'change'>[];
};

/** Why a commit was refused. Whatever the reason, nothing of it was stored. */
export type AdmissionRefusal =
  | { readonly kind: 'parent_moved'; readonly head: SetHead | undefined }
  | { readonly kind: 'untrusted'; readonly error: TrustError }
  | { readonly kind: 'invalid'; readonly problems: readonly ResourceProblem[] }
  | { readonly kind: 'storage_failed'; readonly message: string };

/** What admission works on. */
export type AdmissionContext = {
  readonly store: Store;
  readonly sets: PolicySets;
  readonly resources: ResourceView;
  readonly trustRoot: () => TrustRoot;
  readonly trustDomain: TrustDomain;
  readonly clock: () => number;
};

/**
 * Verifies a commit as an enforcement point would, checks that every resource can be enforced, stores it, and only
 * then puts it in the place of the head. One synchronous step: of two commits on one parent exactly one is stored.
 */
export function admit(
  context: AdmissionContext,
  request: AdmissionRequest,
): Result<Admitted, AdmissionRefusal> {
  const { namespace } = request;
  const head = headOf(context, namespace);
  if ((head?.hash ?? null) !== request.expectedParent) return fail({ kind: 'parent_moved', head });
  const verified = verify(context, request);
  if (!verified.ok) return fail({ kind: 'untrusted', error: verified.error });
  const set = verified.value;
  const problems = checkResources({
    namespace,
    trustDomain: context.trustDomain,
    submitted: request.changes.flatMap(({ key, resource, source }) =>
      resource === null ? [] : [{ key, resource, source }],
    ),
    after: context.resources.of(set),
    root: context.resources.now().get(ROOT_NAMESPACE),
  });
  if (problems.length > 0) return fail({ kind: 'invalid', problems });
  const changes = storedChanges(context, request, set);
  const admitted = {
    namespace,
    number: set.head.number,
    hash: set.head.hash,
    changes: changes.map(({ key, change }) => ({ key, change })),
  };
  return request.dryRun ? ok(admitted) : put(context, { set, changes, request, admitted });
}

function headOf({ sets, store }: AdmissionContext, namespace: string): SetHead | undefined {
  // Where the stored set is broken, its head still is what a repair has to continue from.
  const head = sets.broken().has(namespace)
    ? store.heads().find((commit) => commit.namespace === namespace)
    : sets.current(namespace)?.head;
  return head && { number: head.number, hash: head.hash };
}

function verify(
  { sets, trustRoot, clock }: AdmissionContext,
  { namespace, envelope, changes }: AdmissionRequest,
): Result<PolicySet, TrustError> {
  const current = sets.current(namespace);
  const update = {
    namespace,
    commits: [envelope],
    full: current === undefined,
    changes: changes.map(({ key, resource }) => ({ key, resource: resource ?? undefined })),
  };
  const applied = applyUpdate(current, update, trustRoot(), clock());
  if (!applied.ok || applied.value !== current) return applied;
  const { number, hash } = applied.value.head;
  return fail({ code: 'fork', message: `commit ${number} is in force already`, number, hash });
}

function put(
  context: AdmissionContext,
  made: {
    readonly set: PolicySet;
    readonly changes: readonly StoredChange[];
    readonly request: AdmissionRequest;
    readonly admitted: Admitted;
  },
): Result<Admitted, AdmissionRefusal> {
  const { set, changes, request, admitted } = made;
  const stored = context.store.append(storedCommit(set, request.from, context.clock()), changes);
  if (stored.ok) {
    context.sets.replace(set);
    return ok(admitted);
  }
  return stored.error.code === 'parent_moved'
    ? fail({ kind: 'parent_moved', head: headOf(context, set.namespace) })
    : fail({ kind: 'storage_failed', message: stored.error.message });
}

function storedChanges(
  { sets, store }: AdmissionContext,
  { namespace, changes }: AdmissionRequest,
  set: PolicySet,
): readonly StoredChange[] {
  const known = sets.current(namespace);
  const before = new Set(known?.resources.keys() ?? storedKeys(store, namespace));
  const stored = changes.flatMap(({ key, resource, source }): StoredChange[] => {
    if (resource === null) {
      return before.has(key) ? [{ key, resource: null, source: null, change: 'deleted' }] : [];
    }
    const text = canonicalJson(set.resources.get(key));
    const change = before.has(key) ? 'changed' : 'added';
    return [{ key, resource: text, source: source ?? null, change }];
  });
  if (known !== undefined) return stored;
  // The repair of a broken set came whole: what it does not hold is gone.
  const gone = [...before].filter((key) => !set.resources.has(key));
  return [
    ...stored.filter(({ key }) => !gone.includes(key)),
    ...gone.map((key) => ({ key, resource: null, source: null, change: 'deleted' as const })),
  ];
}

function storedKeys(store: Store, namespace: string): readonly string[] {
  return store.resourcesAt(namespace, Number.MAX_SAFE_INTEGER).map(({ key }) => key);
}

function storedCommit({ head }: PolicySet, from: string, nowMs: number): StoredCommit {
  const { namespace, number, parent, author, time, expires, root, size, message } = head.commit;
  return {
    namespace,
    number,
    hash: head.hash,
    parent,
    author,
    time,
    expires,
    root,
    size,
    message: message ?? null,
    envelope: JSON.stringify(head.envelope),
    receivedAt: new Date(nowMs).toISOString(),
    receivedFrom: from,
  };
}
