/** Every error code of the API by its HTTP status and what it means; the reference lists the same. */
export const API_ERRORS = {
  bad_request: { status: 400, title: 'The request is not as documented' },
  unauthenticated: { status: 401, title: 'No admin certificate and no console session' },
  read_only: { status: 403, title: 'The console reads; changes are signed by their author' },
  origin_refused: { status: 403, title: 'The request comes from another site' },
  untrusted_commit: { status: 403, title: 'The commit is not signed by keys that may' },
  not_found: { status: 404, title: 'There is nothing of that name' },
  method_not_allowed: { status: 405, title: 'This cannot be done to that' },
  parent_moved: { status: 412, title: 'Somebody else was faster' },
  too_large: { status: 413, title: 'The request is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be JSON' },
  host_refused: { status: 421, title: 'The Host header names another host' },
  invalid_commit: { status: 422, title: 'The commit does not continue what is stored' },
  invalid_resources: { status: 422, title: 'Resources could not be enforced as they are' },
  cannot_answer: { status: 422, title: 'The question cannot be answered' },
  precondition_required: { status: 428, title: 'A write says what it builds on' },
  internal: { status: 500, title: 'The control plane failed; its log says why' },
  unavailable: { status: 503, title: 'Not available now' },
  storage_failed: { status: 507, title: 'The disk did not take it; nothing was changed' },
} as const;

/** The codes of `API_ERRORS`. */
export type ApiErrorCode = keyof typeof API_ERRORS;

/** Ends a request: thrown by handlers, turned into `application/problem+json` (RFC 9457) in one place. */
export class ApiProblem extends Error {
  readonly code: ApiErrorCode;
  /** Members of the problem document besides the standard ones; a `code` in it refines our own. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: ApiErrorCode, detail: string, members: Readonly<Record<string, unknown>> = {}) {
    super(detail);
    this.name = 'ApiProblem';
    this.code = code;
    this.members = members;
  }
}
