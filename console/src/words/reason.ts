const SENTENCES: Readonly<Record<string, string>> = {
  allowed_by_policy: 'a policy allows it',
  allowed_by_default: 'no policy applies and the mesh allows by default',
  policy_denied: 'a policy denies it',
  no_policy_allows: 'policies apply to the service and none of them allows this call',
  default_deny: 'no policy applies to the service, and the mesh denies by default',
  peer_unauthenticated: 'the caller proved no identity',
  token_invalid: 'the end user’s token is missing or invalid',
  cannot_decide: 'the sidecar could not decide, so it denied',
  upstream_identity_mismatch: 'the server is not who the service says it should be',
  no_such_service: 'there is no such service',
  no_healthy_endpoint: 'the service has no healthy endpoint',
  upstream_connect_failed: 'the connection to the service failed',
  upstream_tls_failed: 'the TLS handshake with the service failed',
  upstream_timeout: 'the service did not answer in time',
  bad_request: 'the request was ambiguous or malformed',
  rate_limited: 'the caller is over its limit',
  too_large: 'the request was too large',
};

/** What decided a call: the parts of a record or of a denial that say so. */
export type Decided = {
  readonly verdict: 'allow' | 'deny';
  readonly reason: string | null | undefined;
  /** `namespace/name` of the policy that determined the verdict, where one did. */
  readonly policy: string | null | undefined;
};

/**
 * Why a call was decided as it was. Callers are told `policy_denied` whatever policy said; only here
 * a matching DENY is told apart from nothing having matched. A code we do not know is shown as it is.
 */
export function decisionSentence({ verdict, reason, policy }: Decided): string {
  const isDetermined = policy !== null && policy !== undefined && policy !== '';
  if (reason === 'policy_denied' && !isDetermined) return 'no policy allows it';
  if (reason !== null && reason !== undefined && reason !== '') {
    return SENTENCES[reason] ?? `reason ${reason}`;
  }
  if (verdict === 'deny') return 'no reason was recorded';
  return isDetermined ? 'a policy allows it' : 'no policy was asked';
}

/** A reason code as a sentence. */
export function reasonSentence(reason: string): string {
  return SENTENCES[reason] ?? `reason ${reason}`;
}
