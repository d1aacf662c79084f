import type { SpiffeId } from '#identity';

/**
 * All that an authorization decision may depend on, in canonical form: the proxy canonicalizes host
 * and path once, so that policy judges the very bytes the application receives.
 */
export type Question = {
  readonly source: {
    /** The caller's identity, proven by its certificate; undefined on plaintext. */
    readonly id: SpiffeId | undefined;
    /** The peer's address, IPv4 or IPv6 in text. */
    readonly ip: string;
  };
  readonly connection: {
    readonly tls: boolean;
    /** The server name of the TLS hello, undefined where none was sent. */
    readonly sni: string | undefined;
  };
  /** Undefined for a TCP connection. `path` is canonical and without its query. */
  readonly request:
    | { readonly method: string; readonly host: string; readonly path: string }
    | undefined;
  readonly destination: {
    /**
     * The Service's port, not the application's. Istio compares `ports` with the port its sidecar
     * listens on for the workload; a Palisade sidecar has one listener a Service port, so that is it.
     */
    readonly port: number;
  };
  /** Milliseconds since 1970. No rule of this release depends on it; records and time rules do. */
  readonly nowMs: number;
};

/** Why a decision fell as it did; stable, as they appear in records and in `x-palisade-reason`. */
export type ReasonCode =
  /** An ALLOW rule matched. */
  | 'allowed_by_policy'
  /** No ALLOW policy applies to the workload and the mesh's default is allow. */
  | 'allowed_by_default'
  /** A DENY rule matched. */
  | 'policy_denied'
  /** ALLOW policies apply to the workload and none of their rules matched. */
  | 'no_policy_allows'
  /** No ALLOW policy applies to the workload and the mesh's default is deny. */
  | 'default_deny'
  /** The peer mode asks for an identity and the caller proved none; found before policy. */
  | 'peer_unauthenticated'
  /** No snapshot, a stale one, an evaluator error, or an attribute that could not be read. */
  | 'cannot_decide';

/** What was decided. INVARIANT: whatever goes wrong yields verdict `deny`. */
export type Decision = {
  readonly verdict: 'allow' | 'deny';
  readonly reason: ReasonCode;
  /** `namespace/name` of the policy that determined the verdict, where one did. */
  readonly policy: string | undefined;
  /** Index of the determining rule in that policy's `rules`. */
  readonly rule: number | undefined;
  /**
   * For each policy in dry-run, the verdict this question would get if that policy alone were
   * switched on in addition to those enforced.
   */
  readonly dryRun: readonly { readonly policy: string; readonly verdict: 'allow' | 'deny' }[];
};
