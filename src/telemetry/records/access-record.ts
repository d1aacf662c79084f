/** An access record as readers of a spool, the control plane and `palisade log` see it: a flat JSON object. */
export type AccessRecord = {
  /** ISO 8601 with milliseconds. */
  readonly time: string;
  readonly kind: 'http' | 'tcp';
  /** Which sidecar of the call wrote it: the server's (`destination`) or the caller's (`source`). */
  readonly reporter: 'destination' | 'source';
  /** Unique in the mesh and the same however often it is sent: `BOOT-SEQ`. Absent in records of before 0.2. */
  readonly id?: string;
  readonly 'source.id': string | null;
  readonly 'source.service': string | null;
  readonly 'source.ip': string | null;
  readonly 'destination.id': string | null;
  readonly 'destination.service': string | null;
  readonly 'destination.namespace': string | null;
  readonly 'destination.port': number;
  readonly 'connection.sni': string | null;
  readonly 'tls.version': string | null;
  readonly 'tls.cipher': string | null;
  readonly 'tls.group': string | null;
  readonly peer_serial: string | null;
  readonly method: string | null;
  readonly host: string | null;
  /** Without the query string, ever. */
  readonly path: string | null;
  readonly policy: string | null;
  /** Which rule of the policy: its index in decimal. */
  readonly rule: string | null;
  /** What was enforced, e.g. `default@12`. */
  readonly policy_version: string | null;
  readonly denial_id: string | null;
  readonly trace_id: string | null;
  readonly span_id: string | null;
  /** The caller's span, if it sent one that is valid. */
  readonly parent_span_id?: string | null;
  readonly duration_us: number;
  /** From the request's arrival to the decision: tokens, policy, and external authorizers where one was asked. */
  readonly decision_us?: number;
  /** From the decision until a connection or a stream of a tunnel took the request; absent if none did. */
  readonly tunnel_wait_us?: number;
  /** From there to the head of the answer; absent if none came. */
  readonly upstream_us?: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  /** Request headers, where a TelemetryPolicy asks for them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Verdicts of policies in dry-run; absent where there are none. */
  readonly dry_run?: readonly DryRunRecord[];
  /** The first AUDIT policy that matched; absent where none did. */
  readonly audit?: string;
  /** The exception that kept a DENY policy from deciding; absent where none did. */
  readonly exception?: string;
  /** HTTP status sent to the caller; null for TCP. */
  readonly status: number | null;
  /** gRPC's own status, 0 to 16; absent where the call is not gRPC's or ended without one. */
  readonly grpc_status?: number;
  /** The code of surface.md's "What a caller sees", or the decision's; null when the call just went through. */
  readonly reason: string | null;
  readonly verdict: 'allow' | 'deny';
  /** Fields of which something was taken out, e.g. `["path"]`; absent if nothing was. */
  readonly redacted?: readonly string[];
  /** The day (UTC) whose key of the mesh its hashes are keyed with, or `own`; absent where there is no hash. */
  readonly redaction_key?: string;
  /** How many calls it stands for, itself included; 1 where absent. Sums multiply by it. */
  readonly weight?: number;
  /** Why it was kept; absent in records of before 0.2. */
  readonly kept?: KeptReason;
  readonly seq: number;
};

/** Why a record was kept: `all` while the budget was not reached, `sampled` where it stands for others. */
export type KeptReason =
  | 'audit'
  | 'denied'
  | 'error'
  | 'rollout'
  | 'first_seen'
  | 'slow'
  | 'sampled'
  | 'all';

/** What a policy in dry-run would have said. */
export type DryRunRecord = { readonly policy: string; readonly verdict: 'allow' | 'deny' };

/** The parts of a record that stay the same for a whole connection. */
export type ConnectionFacts = {
  readonly kind: 'http' | 'tcp';
  readonly reporter: 'destination' | 'source';
  readonly sourceId: string | null;
  readonly sourceService: string | null;
  readonly sourceIp: string | null;
  readonly destinationId: string | null;
  readonly destinationService: string | null;
  readonly destinationNamespace: string | null;
  readonly destinationPort: number;
  readonly sni: string | null;
  readonly tlsVersion: string | null;
  readonly tlsCipher: string | null;
  readonly tlsGroup: string | null;
  readonly peerSerial: string | null;
};

/** `ConnectionFacts` written out once; made by `createRecordedConnection`, kept with the connection. */
export type RecordedConnection = { readonly json: string };

/**
 * One finished call (an HTTP request, or a whole TCP connection), to be filled in and handed over. The
 * object may be used again at once: nothing of it is kept. Text may hold whatever the network sent.
 */
export type RecordedCall = {
  connection: RecordedConnection;
  /** Unix time in milliseconds. */
  startedAt: number;
  method: string | null;
  host: string | null;
  path: string | null;
  policy: string | null;
  rule: string | null;
  policyVersion: string | null;
  denialId: string | null;
  traceId: string | null;
  spanId: string | null;
  parentSpanId: string | null;
  durationUs: number;
  /** Of the three, -1 stands for a stage that was not reached. */
  decisionUs: number;
  tunnelWaitUs: number;
  upstreamUs: number;
  /** An external authorizer was asked: its time is in `decisionUs`. */
  isConsulted: boolean;
  /** From the caller, and towards it; bodies only for HTTP. */
  bytesIn: number;
  bytesOut: number;
  /** Those that a TelemetryPolicy asks for, names in lower case. */
  headers: readonly (readonly [name: string, value: string])[] | undefined;
  /** What the redactor changed. */
  redacted: readonly string[] | undefined;
  /** With which key the redactor hashed: a day, or `own`. */
  redactionKey: string | undefined;
  dryRun: readonly DryRunRecord[] | undefined;
  audit: string | undefined;
  exception: string | undefined;
  /** 0 stands for none (TCP). */
  status: number;
  /** gRPC's own status, 0 to 16; -1 stands for none. */
  grpcStatus: number;
  reason: string | null;
  verdict: 'allow' | 'deny';
  /** What sampling decided; the access log sets both. */
  weight: number;
  kept: KeptReason;
};

/**
 * Zero, held as V8 holds fractions and large numbers. A field that begins as a small integer and outgrows that changes the
 * shape of its object; code that knows both shapes may then be compiled in vain for ever, at 30 µs a request.
 */
export const WIDE_ZERO = -0;

/** A call with nothing known yet: denied, since deny is the zero value. */
export function createRecordedCall(connection: RecordedConnection): RecordedCall {
  return {
    connection,
    startedAt: WIDE_ZERO,
    method: null,
    host: null,
    path: null,
    policy: null,
    rule: null,
    policyVersion: null,
    denialId: null,
    traceId: null,
    spanId: null,
    parentSpanId: null,
    durationUs: WIDE_ZERO,
    decisionUs: -1,
    tunnelWaitUs: -1,
    upstreamUs: -1,
    isConsulted: false,
    bytesIn: WIDE_ZERO,
    bytesOut: WIDE_ZERO,
    headers: undefined,
    redacted: undefined,
    redactionKey: undefined,
    dryRun: undefined,
    audit: undefined,
    exception: undefined,
    status: 0,
    grpcStatus: -1,
    reason: null,
    verdict: 'deny',
    weight: 1,
    kept: 'all',
  };
}
