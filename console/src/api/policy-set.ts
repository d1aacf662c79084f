/** A key that signed, and whom the trust root says it belongs to. */
export type Signer = { readonly keyId: string; readonly name: string | null };

/** `GET /policy-sets`: the head of each namespace's policy. */
export type PolicySetSummary = {
  readonly namespace: string;
  readonly number: number;
  readonly hash: string;
  readonly author: string;
  readonly time: string;
  readonly expires: string;
  readonly size: number;
  readonly message: string | null;
  readonly expired: boolean;
  readonly signers: readonly Signer[];
  /** Connected points that should hold this set, and those that hold its head. */
  readonly enforcement: { readonly wanted: number; readonly enforced: number };
};

/** `GET /policy-sets/:ns?number=N`: a namespace's whole policy in one version. */
export type PolicySetDetail = {
  readonly namespace: string;
  readonly number: number;
  /** By `Kind/name`. */
  readonly resources: Readonly<Record<string, unknown>>;
  /** What the author wrote, by `Kind/name`, where it is kept. */
  readonly sources: Readonly<Record<string, string>>;
};

/** `GET /policy-sets/:ns/commits`: one signed change, newest first. */
export type CommitEntry = {
  readonly namespace: string;
  readonly number: number;
  readonly hash: string;
  readonly parent: string | null;
  readonly author: string;
  readonly time: string;
  readonly expires: string;
  readonly size: number;
  readonly message: string | null;
  readonly signers: readonly Signer[];
  readonly receivedAt: string;
  readonly receivedFrom: string;
  readonly changes: readonly {
    readonly key: string;
    readonly change: 'added' | 'changed' | 'deleted';
  }[];
};

/** `GET /resources`: what is in force, with the text its author wrote. */
export type ResourceEntry = {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly key: string;
  readonly resource: unknown;
  readonly source: string | null;
  /** The commit that changed it last. */
  readonly number: number;
  readonly author: string;
  readonly time: string;
};

/** `GET /hits`: how often a rule decided, from the records kept. */
export type PolicyHit = {
  readonly namespace: string;
  /** `namespace/name`. */
  readonly policy: string;
  readonly rule: string | null;
  readonly verdict: 'allow' | 'deny';
  readonly count: number;
  readonly last: string;
};

/** `GET /policy-sets/:ns/findings`: something in a policy in force that its author should look at. */
export type PolicyFinding = {
  readonly key: string;
  /** From 1, within the resource's source. */
  readonly line: number;
  /** `wide_rule`, or a code of `palisade validate`. */
  readonly code: string;
  readonly message: string;
  readonly help: string;
};

/** What a version of policy says of a call, and by which policy, `namespace/name`. */
export type VersionVerdict = {
  readonly verdict: 'allow' | 'deny';
  readonly reason: string;
  readonly policy: string | null;
};

/** Recorded calls that were alike, and that two versions of policy decide differently. */
export type ChangedCall = {
  /** SPIFFE ID, or words for a caller without one. */
  readonly caller: string;
  /** `namespace/name` */
  readonly service: string;
  readonly method: string | null;
  readonly path: string | null;
  readonly port: number;
  readonly count: number;
  readonly before: VersionVerdict;
  readonly after: VersionVerdict;
};

/** `GET /policy-sets/:ns/changed-calls`: recorded calls that one version decides otherwise than another. */
export type ChangedCalls = {
  readonly before: number;
  readonly after: number;
  readonly since: string;
  /** How many calls were judged, the oldest of them when; `truncated` where there were more. */
  readonly records: number;
  readonly oldest: string | null;
  readonly truncated: boolean;
  /** Calls of all groups, by what became of them. */
  readonly nowDenied: number;
  readonly nowAllowed: number;
  /** Groups; `items` are those with the most calls. */
  readonly total: number;
  readonly items: readonly ChangedCall[];
};
