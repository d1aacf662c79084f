import type { ProxyMetrics } from '#telemetry';

// Not by `import`: see the admin server, 14 MB.
const { STATUS_CODES } = process.getBuiltinModule('node:http');

/** Everything that a caller can be told instead of the application's answer. */
export type FailureKind =
  | 'policy_denied'
  | 'peer_unauthenticated'
  | 'token_invalid'
  | 'cannot_decide'
  | 'upstream_identity_mismatch'
  | 'no_such_service'
  | 'no_healthy_endpoint'
  | 'upstream_connect_failed'
  | 'upstream_tls_failed'
  | 'upstream_timeout'
  | 'upstream_failed'
  | 'request_timeout'
  | 'bad_request'
  | 'too_large'
  | 'rate_limited';

/**
 * One failed call. `detail` goes to our own counters and log and never to the caller; `denialId` is
 * what `palisade explain` takes.
 */
export type Failure = {
  readonly kind: FailureKind;
  readonly detail?: string;
  readonly denialId?: string;
  /** The value of `www-authenticate`, where the caller may come again with something else. */
  readonly challenge?: string;
};

type Outcome = { readonly status: number; readonly text: string; readonly retry: boolean };

// The table "What a caller sees" of the surface contract, and nothing else, decides what is sent.
const OUTCOMES: Readonly<Record<FailureKind, Outcome>> = {
  policy_denied: never(403, 'denied by policy'),
  peer_unauthenticated: never(403, 'the caller has no valid identity'),
  token_invalid: never(401, 'the token is not valid'),
  cannot_decide: never(403, 'no decision is possible'),
  upstream_identity_mismatch: never(503, "the server's identity is not the service's"),
  no_such_service: never(404, 'no such service in the mesh'),
  no_healthy_endpoint: { status: 503, text: 'the service has no healthy endpoint', retry: true },
  upstream_connect_failed: { status: 503, text: 'the service could not be reached', retry: true },
  upstream_tls_failed: never(503, 'no secure connection to the service'),
  upstream_timeout: never(504, 'the service did not answer in time'),
  // The request may have had its effect, so unlike a failed connect this is not to be tried again.
  upstream_failed: never(502, 'the service broke off or answered malformed'),
  request_timeout: never(408, 'the request did not arrive in time'),
  bad_request: never(400, 'the request is malformed or ambiguous'),
  too_large: never(431, 'the request head is too large'),
  rate_limited: never(429, 'more calls than the service takes'),
};

/** The HTTP status of a failure. */
export function statusOf(kind: FailureKind): number {
  return OUTCOMES[kind].status;
}

/** Counts what failed otherwise than by a decision of policy, which has counters of its own. */
export function countRefusal(metrics: ProxyMetrics, failure: Failure): void {
  if (failure.kind !== 'policy_denied') metrics.refused(failure.detail ?? failure.kind).value++;
}

/** How the answer is to be written. */
export type ResponseStyle = {
  /** The caller named a JSON type in Accept. */
  readonly json: boolean;
  /** The request was HEAD: the head alone is sent. */
  readonly headOnly: boolean;
  /** The connection ends with this answer. */
  readonly close: boolean;
};

/**
 * The whole HTTP answer to a failed call.
 * SECURITY: it tells the reason and the denial's id; policy names, identities and addresses stay here.
 */
export function serializeFailure(failure: Failure, style: ResponseStyle): Buffer {
  const outcome = OUTCOMES[failure.kind];
  const body = style.json ? problemBody(failure, outcome) : textBody(failure, outcome);
  const lines = [
    `HTTP/1.1 ${outcome.status} ${STATUS_CODES[outcome.status]}`,
    `content-type: ${style.json ? 'application/problem+json' : 'text/plain; charset=utf-8'}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    `x-palisade-reason: ${failure.kind}`,
  ];
  if (failure.denialId !== undefined) lines.push(`x-palisade-denial: ${failure.denialId}`);
  if (failure.challenge !== undefined) lines.push(`www-authenticate: ${failure.challenge}`);
  if (outcome.retry) lines.push('retry-after: 1');
  if (style.close) lines.push('connection: close');
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${style.headOnly ? '' : body}`, 'latin1');
}

function never(status: number, text: string): Outcome {
  return { status, text, retry: false };
}

function textBody(failure: Failure, outcome: Outcome): string {
  const id = failure.denialId === undefined ? '' : ` (${failure.denialId})`;
  return `${failure.kind}: ${outcome.text}${id}\n`;
}

// RFC 9457.
function problemBody(failure: Failure, outcome: Outcome): string {
  const problem = {
    type: `urn:palisade:${failure.kind}`,
    title: outcome.text,
    status: outcome.status,
    code: failure.kind,
    ...(failure.denialId === undefined ? {} : { denial: failure.denialId }),
  };
  return `${JSON.stringify(problem)}\n`;
}
