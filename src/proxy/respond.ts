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

type Outcome = {
  readonly status: number;
  /** Of gRPC's status codes. */
  readonly grpc: number;
  readonly text: string;
  readonly retry: boolean;
};

const GRPC = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

// The table "What a caller sees" of the surface contract, and nothing else, decides what is sent.
const OUTCOMES: Readonly<Record<FailureKind, Outcome>> = {
  policy_denied: never(403, GRPC.PERMISSION_DENIED, 'denied by policy'),
  peer_unauthenticated: never(403, GRPC.UNAUTHENTICATED, 'the caller has no valid identity'),
  token_invalid: never(401, GRPC.UNAUTHENTICATED, 'the token is not valid'),
  cannot_decide: never(403, GRPC.PERMISSION_DENIED, 'no decision is possible'),
  upstream_identity_mismatch: never(
    503,
    GRPC.UNAVAILABLE,
    "the server's identity is not the service's",
  ),
  no_such_service: never(404, GRPC.NOT_FOUND, 'no such service in the mesh'),
  no_healthy_endpoint: again(503, GRPC.UNAVAILABLE, 'the service has no healthy endpoint'),
  upstream_connect_failed: again(503, GRPC.UNAVAILABLE, 'the service could not be reached'),
  upstream_tls_failed: never(503, GRPC.UNAVAILABLE, 'no secure connection to the service'),
  upstream_timeout: never(504, GRPC.DEADLINE_EXCEEDED, 'the service did not answer in time'),
  // The request may have had its effect, so unlike a failed connect this is not to be tried again.
  upstream_failed: never(502, GRPC.UNAVAILABLE, 'the service broke off or answered malformed'),
  request_timeout: never(408, GRPC.DEADLINE_EXCEEDED, 'the request did not arrive in time'),
  bad_request: never(400, GRPC.INVALID_ARGUMENT, 'the request is malformed or ambiguous'),
  too_large: never(431, GRPC.RESOURCE_EXHAUSTED, 'the request head is too large'),
  rate_limited: never(429, GRPC.RESOURCE_EXHAUSTED, 'more calls than the service takes'),
};

/**
 * The reason that a peer's sidecar gives, as far as it can be one. SECURITY: it becomes a label and a field, and
 * whoever answers chooses it.
 */
export function parsePeerReason(text: string | undefined): string | undefined {
  return text !== undefined && /^[a-z_]{1,40}$/.test(text) ? text : undefined;
}

/** The id of a denial that a peer's sidecar gives; null for what cannot be one. */
export function parsePeerDenial(text: string | undefined): string | null {
  return text !== undefined && /^[0-9a-zA-Z_-]{1,64}$/.test(text) ? text : null;
}

/** The HTTP status of a failure. */
export function statusOf(kind: FailureKind): number {
  return OUTCOMES[kind].status;
}

/** gRPC's status of a failure. */
export function grpcStatusOf(kind: FailureKind): number {
  return OUTCOMES[kind].grpc;
}

/** Whether a reason that another sidecar gave is one of ours. */
export function isFailureKind(reason: string): reason is FailureKind {
  return Object.hasOwn(OUTCOMES, reason);
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

/** A failure as HTTP/2 has it: fields (name, value, name, value …) with `:status` first, and a body. */
export type H2Failure = { readonly fields: readonly string[]; readonly body: string };

/** The whole HTTP/2 answer to a failed call; to a gRPC call it is a status in a head of its own. */
export function h2Failure(
  failure: Failure,
  style: { readonly json: boolean; readonly headOnly: boolean; readonly grpc: boolean },
): H2Failure {
  const outcome = OUTCOMES[failure.kind];
  if (style.grpc) {
    // gRPC over HTTP/2, "Trailers-Only"; HTTP's own status says only that gRPC answered.
    const fields = [':status', '200', 'content-type', 'application/grpc', ...grpcFailure(failure)];
    return { fields, body: '' };
  }
  const body = style.json ? problemBody(failure, outcome) : textBody(failure, outcome);
  const fields = [
    ':status',
    `${outcome.status}`,
    'content-type',
    style.json ? 'application/problem+json' : 'text/plain; charset=utf-8',
    'content-length',
    `${Buffer.byteLength(body)}`,
    'cache-control',
    'no-store',
    ...reasonFields(failure),
  ];
  if (outcome.retry) fields.push('retry-after', '1');
  if (failure.challenge !== undefined) fields.push('www-authenticate', failure.challenge);
  return { fields, body: style.headOnly ? '' : body };
}

/** A failure as the trailers of a gRPC answer, whether it had begun or not. */
export function grpcFailure(failure: Failure): readonly string[] {
  const { grpc, text, retry } = OUTCOMES[failure.kind];
  const id = failure.denialId === undefined ? '' : ` (${failure.denialId})`;
  const fields = ['grpc-status', `${grpc}`, 'grpc-message', `${failure.kind}: ${text}${id}`];
  fields.push(...reasonFields(failure));
  // gRPC A6: a client whose own configuration would try again does not.
  if (!retry) fields.push('grpc-retry-pushback-ms', '-1');
  return fields;
}

function reasonFields(failure: Failure): readonly string[] {
  const reason = ['x-palisade-reason', failure.kind];
  return failure.denialId === undefined
    ? reason
    : [...reason, 'x-palisade-denial', failure.denialId];
}

function never(status: number, grpc: number, text: string): Outcome {
  return { status, grpc, text, retry: false };
}

function again(status: number, grpc: number, text: string): Outcome {
  return { status, grpc, text, retry: true };
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
