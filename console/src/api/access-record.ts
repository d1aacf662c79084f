/** One request or connection, as in the records reference; the keys are flat and dotted. */
export type AccessRecord = {
  readonly time: string;
  readonly kind: 'http' | 'tcp';
  readonly 'source.id': string | null;
  readonly 'source.service': string | null;
  readonly 'source.ip'?: string | null;
  readonly 'destination.id': string | null;
  readonly 'destination.service': string | null;
  readonly 'destination.namespace': string | null;
  readonly 'destination.port'?: number | null;
  readonly 'connection.sni'?: string | null;
  readonly method: string | null;
  readonly host: string | null;
  readonly path: string | null;
  readonly status: number | null;
  readonly grpc_status?: number;
  readonly reason: string | null;
  readonly verdict: 'allow' | 'deny';
  readonly policy: string | null;
  readonly rule: string | number | null;
  readonly policy_version: string | number | null;
  readonly denial_id: string | null;
  readonly trace_id: string | null;
  readonly span_id: string | null;
  readonly duration_us: number | null;
  readonly bytes_in: number | null;
  readonly bytes_out: number | null;
  readonly 'tls.version': string | null;
  readonly 'tls.cipher': string | null;
  readonly 'tls.group': string | null;
  readonly peer_serial: string | null;
  readonly seq: number;
  readonly reporter?: 'destination' | 'source';
  /** The span of the caller's side, where the caller has a sidecar or said it. */
  readonly parent_span_id?: string | null;
  /** How many calls it stands for; 1 where nothing is said. */
  readonly weight?: number;
  /** Why it was kept: `denied`, `error`, `slow`, `first_seen`, `rollout`, `audit`, `sampled` or `all`. */
  readonly kept?: string | null;
  /** Time in each stage; absent where the stage was not reached. */
  readonly decision_us?: number | null;
  readonly tunnel_wait_us?: number | null;
  readonly upstream_us?: number | null;
  /** Fields of which something was taken out. */
  readonly redacted?: readonly string[];
  /** The day whose key of the mesh its hashes are keyed with, or `own`. */
  readonly redaction_key?: string;
  /** What policies in dry-run would have said. */
  readonly dry_run?: readonly { readonly policy: string; readonly verdict: 'allow' | 'deny' }[];
};

/** A record as the control plane lists it, with the enforcement point that wrote it. */
export type ListedRecord = AccessRecord & {
  readonly node: string;
  readonly 'record.id': string;
};
