import type { Bundle, RevocationCheck, SpiffeId } from '#identity';
import type { Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import type { GrpcCall, Reply } from '#wire';
import type { AuditWitness } from './audit-witness.ts';
import { type Caller, requireIdentity } from './caller.ts';
import type { JoinTokens } from './enrol.ts';
import type { Expiring } from './expiries.ts';
import type { Hosts } from './hosts.ts';
import type { IssuanceLog } from './issuance-log.ts';
import type { Issue } from './issue.ts';
import type { createIssueJwt } from './issue-jwt.ts';
import type { JoinTokenBook } from './join-token-book.ts';
import type { JwtKeys } from './jwt-keys.ts';
import { type MeshRole, meshRole } from './mesh-identity.ts';
import type { CaMetrics } from './metrics.ts';
import type { Policy } from './policy.ts';
import type { RateLimit } from './rate-limit.ts';
import type { RedactionKeys } from './redaction-keys.ts';
import { grpcError, type Refusal, refuse } from './refusal.ts';

/** What the service decides by and acts with. */
export type ServiceOptions = {
  readonly answered: CaMetrics['answered'];
  readonly trustDomain: string;
  readonly joinTokens: JoinTokens;
  readonly policy: Policy;
  readonly issue: Issue;
  readonly issueJwt: ReturnType<typeof createIssueJwt>;
  readonly jwtKeys: JwtKeys;
  readonly redactionKeys: RedactionKeys;
  readonly issuanceLog: IssuanceLog;
  /** The log's head now, signed and encoded. */
  readonly signedHead: () => Uint8Array;
  /** The revocation list of now, DER. */
  readonly crl: () => Uint8Array | undefined;
  /** A signed statement of the next root, encoded. */
  readonly nextRoot: () => Uint8Array;
  readonly witness: AuditWitness;
  /** What the authority has that expires. */
  readonly expiries: () => readonly Expiring[];
  readonly tokenBook: JoinTokenBook;
  readonly hosts: Hosts;
  /** The revocations of now. */
  readonly revoked: () => RevocationCheck;
  readonly bundle: () => Bundle;
  /** By agent. */
  readonly callers: RateLimit;
  /** By agent and the identity it asks for. */
  readonly identities: RateLimit;
  /** By agent and the identity it asks tokens of. */
  readonly tokens: RateLimit;
  readonly enrolments: RateLimit;
  /** Who sent a call. */
  readonly callerOf: (call: { readonly getPeer: () => string }) => Caller;
  readonly rootsDer: () => readonly Uint8Array[];
  /** How long a request may wait for a registration that is still on its way here. */
  readonly patienceMs: number;
  readonly clock: () => number;
  readonly log: Log;
};

/** A unary call: who asks, what is answered or refused, and what broke, which only our log hears. */
export function answer<Request, Response>(
  options: ServiceOptions,
  method: string,
  respond: (request: Request, caller: Caller) => Promise<Result<Response, Refusal>>,
): (call: GrpcCall<Request, Response>, done: Reply<Response>) => void {
  return (call, done) => {
    respondTo(options, method, () => respond(call.request, options.callerOf(call)), done);
  };
}

/** Answers one request by `done`, once; never rejects. */
export async function respondTo<Response>(
  { log, answered }: ServiceOptions,
  method: string,
  respond: () => Promise<Result<Response, Refusal>>,
  done: Reply<Response>,
): Promise<void> {
  try {
    const result = await respond();
    answered(method, result.ok ? 'ok' : 'refused');
    if (result.ok) return done(null, result.value);
    const { status, message } = result.error;
    log.warn(EVENT.certificateRefused, { method, status, reason: message });
    return done(grpcError(result.error));
  } catch (error) {
    // SECURITY: what broke in here is for our own log; the caller learns that it was not its fault.
    answered(method, 'failed');
    log.error(EVENT.failed, { method, error });
    return done(
      grpcError({ status: 'internal', message: 'the authority failed; its log says why' }),
    );
  }
}

/** The caller, if its certificate counts now; refused where it is of none of `roles`. */
export function requireRole(
  { clock, revoked }: ServiceOptions,
  from: Caller,
  { roles, refusal }: { readonly roles: readonly MeshRole[]; readonly refusal: string },
): Result<SpiffeId, Refusal> {
  const caller = requireIdentity(from, clock(), revoked());
  if (!caller.ok) return caller;
  const role = meshRole(caller.value);
  if (role !== undefined && roles.includes(role)) return caller;
  return refuse('denied', `\`${caller.value.text}\` ${refusal}`);
}

/** The caller, if its certificate counts now and it has not asked too often. */
export function requireModestCaller(
  { clock, revoked, callers }: ServiceOptions,
  from: Caller,
): Result<SpiffeId, Refusal> {
  const caller = requireIdentity(from, clock(), revoked());
  if (!caller.ok || callers.take(caller.value.text)) return caller;
  const { text } = caller.value;
  return refuse('exhausted', `\`${text}\` asks too often: try again in a few seconds`);
}
