import type { Result } from '#lib';

/** One signed commit as it was admitted; `envelope` is the DSSE envelope as JSON text, times are ISO 8601. */
export type StoredCommit = {
  readonly namespace: string;
  readonly number: number;
  /** Lower-case hex. */
  readonly hash: string;
  readonly parent: string | null;
  readonly author: string;
  readonly time: string;
  readonly expires: string;
  /** Merkle root, lower-case hex. */
  readonly root: string;
  /** Resources in the set after this commit. */
  readonly size: number;
  readonly message: string | null;
  readonly envelope: string;
  readonly receivedAt: string;
  /** Name of the admin who delivered it, who need not be its author. */
  readonly receivedFrom: string;
};

/** What one commit did to one resource; `resource` is canonical JSON text, null where it was deleted. */
export type StoredChange = {
  readonly key: string;
  readonly resource: string | null;
  /** The text its author wrote, for people; unsigned. */
  readonly source: string | null;
  readonly change: 'added' | 'changed' | 'deleted';
};

/** A resource as of some commit; `number`, `author` and `time` are those of the commit that last changed it. */
export type StoredResource = {
  readonly key: string;
  readonly resource: string;
  readonly source: string | null;
  readonly number: number;
  readonly author: string;
  readonly time: string;
};

/** A commit in the history of its namespace, with the keys it changed. */
export type HistoryEntry = StoredCommit & {
  readonly changes: readonly Pick<StoredChange, 'key' | 'change'>[];
};

/** Why a commit was not stored. Whatever the reason, nothing of it is. */
export type StoreError =
  | { readonly code: 'parent_moved'; readonly message: string }
  | { readonly code: 'storage_failed'; readonly message: string };

/** Where a workload may be reached, as its own enforcement point says. */
export type StoredEndpoint = {
  readonly node: string;
  readonly namespace: string;
  readonly service: string;
  readonly host: string;
  readonly port: number;
  /** Where it takes HBONE tunnels; 0 if it does not. */
  readonly hbonePort: number;
};

/** What was last known of an enforcement point; `state` is JSON whose shape `enforcement.ts` owns. */
export type StoredPoint = { readonly node: string; readonly state: string };

/**
 * Signed policy with all its history, and who was connected. Reads throw only if the database cannot be read at
 * all. Everything in it is hostile until the trust layer has verified it.
 */
export type Store = {
  /** The newest commit of each namespace, by namespace. */
  readonly heads: () => readonly StoredCommit[];
  readonly commit: (namespace: string, number: number) => StoredCommit | undefined;
  /** Commits with a number above `number`, oldest first. */
  readonly commitsAfter: (namespace: string, number: number) => readonly StoredCommit[];
  /** At most `limit` commits numbered below `before` (all if undefined), newest first. */
  readonly history: (
    namespace: string,
    page: { readonly before: number | undefined; readonly limit: number },
  ) => readonly HistoryEntry[];
  /** The value at commit `upTo` of each key that commits after `after` changed; null: deleted. */
  readonly changesBetween: (
    namespace: string,
    after: number,
    upTo: number,
  ) => readonly Pick<StoredChange, 'key' | 'resource'>[];
  /** The whole set as of commit `number`, by key. */
  readonly resourcesAt: (namespace: string, number: number) => readonly StoredResource[];
  /** Stores a commit with its changes, or nothing: compare-and-swap on the namespace's head. */
  readonly append: (
    commit: StoredCommit,
    changes: readonly StoredChange[],
  ) => Result<undefined, StoreError>;
  readonly points: () => readonly StoredPoint[];
  readonly endpoints: () => readonly StoredEndpoint[];
  /** Replaces what is remembered of these nodes; a node with neither point nor endpoints is forgotten. */
  readonly savePresence: (
    nodes: ReadonlyMap<
      string,
      { readonly point: StoredPoint | undefined; readonly endpoints: readonly StoredEndpoint[] }
    >,
  ) => Result<undefined, StoreError>;
  readonly close: () => void;
};
