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

/** A reason code as a sentence; a code we do not know is shown as it is. */
export function reasonSentence(reason: string | null | undefined): string {
  if (reason === null || reason === undefined || reason === '') return 'no reason was recorded';
  return SENTENCES[reason] ?? `reason ${reason}`;
}
