/** `GET /audit`: one entry of a log that only grows; keys are flat and dotted. */
export type AuditEvent = {
  readonly time: string;
  readonly index: number;
  /** Which log it is in; where the answer does not say, the one that was asked for. */
  readonly log?: string | null;
  /** E.g. `policy.commit`, `identity.revoke`, `admin.sign_in`. */
  readonly action: string;
  readonly 'actor.id'?: string | null;
  readonly 'actor.ip'?: string | null;
  readonly 'target.kind'?: string | null;
  readonly 'target.name'?: string | null;
  readonly 'target.namespace'?: string | null;
  readonly result: 'ok' | 'refused';
  readonly reason?: string | null;
  /** Unified, redacted. */
  readonly diff?: string | null;
  readonly previous_hash?: string | null;
  readonly hash?: string | null;
};

/** A page of audit events. */
export type AuditPage = {
  readonly items: readonly AuditEvent[];
  readonly next_cursor?: string | null;
};

/** What is known of one log's chain. */
export type LogVerification = {
  readonly name: string;
  readonly size: number;
  readonly head?: string | null;
  readonly checkpoint?: {
    readonly size: number;
    readonly root?: string | null;
    readonly signed_at?: string | null;
  } | null;
  readonly state: 'verified' | 'failed' | 'unverified';
  readonly verified_at?: string | null;
  /** The first entry that does not fit, and why. */
  readonly problem?: { readonly index: number; readonly message: string } | null;
};

/** `GET /audit/verification`: whether the logs can be believed, and who besides us keeps checkpoints. */
export type AuditVerification = {
  readonly logs: readonly LogVerification[];
  readonly witnesses: readonly Witness[];
};

/** An agent that keeps a signed checkpoint of its own. */
export type Witness = { readonly node: string; readonly size: number; readonly root: string };
