import { fail, ok, type Result } from '#lib';
import {
  applyUpdate,
  createCommit,
  type DsseEnvelope,
  type PolicySet,
  type PolicySigner,
  type TrustError,
  type TrustRoot,
} from '#trust';
import { type ApiClient, ApiError } from './api-client.ts';

/** One resource to set (with the text its author wrote) or, without `resource`, to delete. */
export type Change = {
  readonly key: string;
  readonly resource?: unknown;
  readonly source?: string;
};

/** A namespace as the API has it: verified here against the pinned root, since the control plane is not trusted. */
export type LiveSet = {
  readonly set: PolicySet | undefined;
  readonly sources: Readonly<Record<string, string>>;
};

type PolicySetAnswer = {
  readonly head: DsseEnvelope | null;
  readonly resources: Readonly<Record<string, unknown>>;
  readonly sources?: Readonly<Record<string, string>>;
};

/** Who signs, and until when what is signed holds. */
export type Author = {
  readonly name: string;
  readonly signer: PolicySigner;
  readonly ttlMs: number;
};

/** A commit that the control plane has stored. */
export type StoredCommit = {
  readonly namespace: string;
  readonly number: number;
  readonly hash: string;
};

const CAS_ATTEMPTS = 8;

/** Fetches a namespace's policy set and verifies every byte of it; `undefined` set where nothing was ever applied. */
export async function fetchPolicySet(
  api: ApiClient,
  namespace: string,
  trustRoot: TrustRoot,
): Promise<Result<LiveSet, TrustError>> {
  const answer = await api.call<PolicySetAnswer>(
    'GET',
    `/policy-sets/${encodeURIComponent(namespace)}`,
  );
  if (answer.head === null) return ok({ set: undefined, sources: {} });
  const changes = Object.entries(answer.resources).map(([key, resource]) => ({ key, resource }));
  const update = { namespace, commits: [answer.head], full: true, changes };
  const set = applyUpdate(undefined, update, trustRoot, Date.now());
  return set.ok ? ok({ set: set.value, sources: answer.sources ?? {} }) : fail(set.error);
}

/**
 * Signs `changes` as the next commit of `namespace` and hands it in; when somebody else was faster, builds it anew on
 * theirs. Resolves to `undefined` where the changes alter nothing. Rejects with `ApiError`.
 */
export async function commitChanges(options: {
  readonly api: ApiClient;
  readonly namespace: string;
  readonly changes: (live: LiveSet) => readonly Change[];
  readonly trustRoot: TrustRoot;
  readonly author: Author;
  /** Signs anew, even without changes, a set that would expire within this time. */
  readonly renewWithinMs?: number;
}): Promise<Result<StoredCommit | undefined, TrustError>> {
  for (let attempt = 1; ; attempt += 1) {
    const live = await fetchPolicySet(options.api, options.namespace, options.trustRoot);
    if (!live.ok) return live;
    const changes = options.changes(live.value);
    if (changes.length === 0 && !expiresWithin(live.value.set, options.renewWithinMs))
      return ok(undefined);
    try {
      return ok(await handIn(options, live.value.set, changes));
    } catch (error) {
      const lost = error instanceof ApiError && error.status === 412;
      if (!lost || attempt === CAS_ATTEMPTS) throw error;
    }
  }
}

function expiresWithin(set: PolicySet | undefined, ms: number | undefined): boolean {
  if (set === undefined || ms === undefined) return false;
  return Date.parse(set.head.commit.expires) - Date.now() < ms;
}

async function handIn(
  options: {
    readonly api: ApiClient;
    readonly namespace: string;
    readonly trustRoot: TrustRoot;
    readonly author: Author;
  },
  parent: PolicySet | undefined,
  changes: readonly Change[],
): Promise<StoredCommit> {
  const resources = new Map(parent?.resources ?? []);
  for (const change of changes) {
    if (change.resource === undefined) resources.delete(change.key);
    else resources.set(change.key, change.resource);
  }
  const { author, namespace } = options;
  const made = createCommit({
    trustDomain: options.trustRoot.trustDomain,
    parent: parent?.head,
    namespace,
    resources,
    author: author.name,
    nowMs: Date.now(),
    ttlMs: author.ttlMs,
    signer: author.signer,
  });
  const body = {
    envelope: made.envelope,
    changes: changes.map((change) => ({ ...change, resource: change.resource ?? null })),
  };
  const headers: Record<string, string> =
    parent === undefined ? { 'if-none-match': '*' } : { 'if-match': `"${parent.head.hash}"` };
  const path = `/policy-sets/${encodeURIComponent(namespace)}/commits`;
  const stored = await options.api.call<{ number: number; hash: string }>('POST', path, {
    body,
    headers,
  });
  return { namespace, number: stored.number, hash: stored.hash };
}
