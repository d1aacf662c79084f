import type { SpiffeId } from '#identity';
import type { Claims } from './claims.ts';

/**
 * All that an authorization decision may depend on, in canonical form: the proxy canonicalizes host
 * and path once, so that policy judges the very bytes the application receives.
 */
export type Question = {
  readonly source: {
    /** The caller's identity, proven by its certificate; undefined on plaintext. */
    readonly id: SpiffeId | undefined;
    /**
     * Whether the identity is of another trust domain than the mesh's. Its namespaces and accounts are not ours,
     * whatever they are called: only its full principal is matched.
     */
    readonly isForeign?: boolean | undefined;
    /** The peer's address, IPv4 or IPv6 in text. */
    readonly ip: string;
    /**
     * The address before trusted hops: the last but N of `x-forwarded-for`, or the peer's where there
     * is none. Undefined if nobody read it, and then a rule that asks for it cannot be decided.
     */
    readonly remoteIp?: string | undefined;
    /** How strongly the caller's process was attested, as its certificate says; undefined if it does not. */
    readonly attestation?: string | undefined;
  };
  readonly connection: {
    readonly tls: boolean;
    /** The server name of the TLS hello, undefined where none was sent. */
    readonly sni: string | undefined;
  };
  /** Undefined for a TCP connection. `path` is canonical and without its query. */
  readonly request: RequestFacts | undefined;
  readonly destination: {
    /**
     * The Service's port, not the application's. Istio compares `ports` with the port its sidecar
     * listens on for the workload; a Palisade sidecar has one listener a Service port, so that is it.
     */
    readonly port: number;
    /** The address the caller connected to. Undefined if nobody read it, as `remoteIp`. */
    readonly ip?: string | undefined;
  };
  /** Milliseconds since 1970, for time windows and the expiry of exceptions. */
  readonly nowMs: number;
};

/** The identity that namespaces and service accounts are read from: none where it is a foreign one. */
export function localIdOf({ source }: Question): string | undefined {
  return source.isForeign === true ? undefined : source.id?.text;
}

/** What a request says of itself. */
export type RequestFacts = {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** Undefined if nobody read them, and then a rule that asks for one cannot be decided. */
  readonly headers?: RequestHeaders | undefined;
  /** The end user's verified token, through `normalizeClaims`; undefined where there is none. */
  readonly claims?: Claims | undefined;
};

/** The headers of a request, read only where some rule asks. */
export type RequestHeaders = {
  /** Appends the values of the header `name` (lower case), line by line; `host` is the authority. */
  readonly collect: (name: string, into: string[]) => void;
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
  /** The user's token is not valid, found before policy; or it is missing, and is all that policy asks for. */
  | 'token_invalid'
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
  /** The first AUDIT policy that matched; it changes nothing. */
  readonly audit: string | undefined;
  /** The exception that kept a DENY policy from deciding, where one did. */
  readonly exception: string | undefined;
  /**
   * Providers whose CUSTOM policies matched. INVARIANT: an `allow` holds only once each of them said
   * yes; they are asked before anything else counts.
   */
  readonly consult: readonly Consultation[];
  /**
   * For each policy in dry-run, the verdict this question would get if that policy alone were
   * switched on in addition to those enforced.
   */
  readonly dryRun: readonly { readonly policy: string; readonly verdict: 'allow' | 'deny' }[];
};

/** A CUSTOM policy that matched, and whom it asks. */
export type Consultation = {
  readonly provider: string;
  readonly policy: string;
  readonly rule: number;
};
