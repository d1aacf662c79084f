import { status } from '@grpc/grpc-js';
import { type JwtSvid, parseSpiffeId, revocableOf, verifyJwtSvid } from '#identity';
import { fail, ok, type Result } from '#lib';
import { EVENT } from '#telemetry';
import {
  type CallRefusal,
  createMessage,
  type GrpcCall,
  type JWTSVIDRequest,
  type JWTSVIDResponse,
  JWTSVIDResponseSchema,
  type Reply,
  type ValidateJWTSVIDRequest,
  type ValidateJWTSVIDResponse,
  ValidateJWTSVIDResponseSchema,
} from '#wire';
import type { Entitlement } from './svid-source.ts';
import { admit, DENIED, type WorkloadApiOptions, type WorkloadCall } from './workload-caller.ts';

type Implementation = {
  readonly fetchJWTSVID: Unary<JWTSVIDRequest, JWTSVIDResponse>;
  readonly validateJWTSVID: Unary<ValidateJWTSVIDRequest, ValidateJWTSVIDResponse>;
};

type Unary<Request, Response> = (call: GrpcCall<Request, Response>, done: Reply<Response>) => void;

// SECURITY: as at the authority, which would refuse more; said here, no call goes there for it.
const MAX_AUDIENCES = 16;
const MAX_AUDIENCE_LENGTH = 1024;

/** The unary calls of the JWT-SVID profile (SPIFFE_Workload_API.md 6). */
export function createJwtCalls(options: WorkloadApiOptions): Implementation {
  return {
    fetchJWTSVID: (call, done) => {
      settle(options, fetchTokens(options, call, call.request), done);
    },
    validateJWTSVID: (call, done) => {
      settle(options, validate(options, call, call.request), done);
    },
  };
}

async function settle<Response>(
  { log }: WorkloadApiOptions,
  work: Promise<Result<Response, CallRefusal>>,
  done: (error: CallRefusal | null, response?: Response) => void,
): Promise<void> {
  try {
    const result = await work;
    if (result.ok) done(null, result.value);
    else done(result.error);
  } catch (error) {
    log.error(EVENT.failed, { what: 'workload api', error });
    done({ code: status.INTERNAL, details: 'the agent failed; its log says why' });
  }
}

async function fetchTokens(
  options: WorkloadApiOptions,
  call: WorkloadCall,
  { audience, spiffeId }: JWTSVIDRequest,
): Promise<Result<JWTSVIDResponse, CallRefusal>> {
  const caller = await entitle(options, call);
  if (!caller.ok) return caller;
  const problem = audienceProblem(audience);
  if (problem !== undefined) return invalid(problem);
  if (spiffeId !== '' && !parseSpiffeId(spiffeId).ok) return invalid('not a SPIFFE ID');
  const { selectors, entitled } = caller.value;
  // SECURITY: a token for somebody else is refused as such, whether that subject exists or not.
  const wanted = spiffeId === '' ? entitled : entitled.filter(({ id }) => id.text === spiffeId);
  if (wanted.length === 0) {
    const details = 'the SPIFFE ID that is asked for is not registered for this process';
    return fail({ ...DENIED, details });
  }
  const tokens = await Promise.all(
    wanted.map(({ id }) => options.tokens.fetch({ id, audience, selectors })),
  );
  const svids: { spiffeId: string; svid: string; hint: string }[] = [];
  for (const [i, token] of tokens.entries()) {
    if (!token.ok) return token;
    const { id, hint } = wanted[i] as Entitlement;
    svids.push({ spiffeId: id.text, svid: token.value, hint });
  }
  return ok(createMessage(JWTSVIDResponseSchema, { svids }));
}

async function validate(
  options: WorkloadApiOptions,
  call: WorkloadCall,
  { audience, svid }: ValidateJWTSVIDRequest,
): Promise<Result<ValidateJWTSVIDResponse, CallRefusal>> {
  const caller = await entitle(options, call);
  if (!caller.ok) return caller;
  if (audience === '') return invalid('the audience is missing');
  if (svid === '') return invalid('the token is missing');
  const check = () =>
    verifyJwtSvid(svid, {
      bundles: options.bundles.jwt() ?? [],
      audience,
      nowMs: options.clock(),
    });
  let verified = check();
  if (!verified.ok && verified.error.code === 'unknown_key') {
    // It may be of a key that is newer than what we know.
    await options.jwtKeys.refresh();
    verified = check();
  }
  if (!verified.ok) return invalid(verified.error.message);
  const revoked = options.revocations.current()(revocableOf(verified.value), options.clock());
  if (revoked !== undefined) return invalid(`the token: ${revoked.message}`);
  return ok(validated(verified.value));
}

function validated({ id, claims, audience }: JwtSvid): ValidateJWTSVIDResponse {
  // The clients expect `aud` as a list, however the token has it.
  const struct = { ...claims, aud: [...audience] } as NonNullable<
    ValidateJWTSVIDResponse['claims']
  >;
  return createMessage(ValidateJWTSVIDResponseSchema, { spiffeId: id.text, claims: struct });
}

/** A caller with at least one identity; the calls that need none are refused to others too. */
async function entitle(
  options: WorkloadApiOptions,
  call: WorkloadCall,
): Promise<
  Result<
    { readonly selectors: readonly string[]; readonly entitled: readonly Entitlement[] },
    CallRefusal
  >
> {
  const selectors = await admit(options, call);
  if (!selectors.ok) return selectors;
  const entitled = options.svids.entitled(selectors.value);
  if (entitled === undefined) {
    return fail({ code: status.UNAVAILABLE, details: 'the agent knows no registrations yet' });
  }
  if (entitled.length > 0) return ok({ selectors: selectors.value, entitled });
  options.log.warn(EVENT.workloadDenied, { selectors: selectors.value });
  return fail(DENIED);
}

function audienceProblem(audience: readonly string[]): string | undefined {
  if (audience.length === 0 || audience.includes('')) return 'the audience is missing';
  const isTooMuch =
    audience.length > MAX_AUDIENCES || audience.some((a) => a.length > MAX_AUDIENCE_LENGTH);
  return isTooMuch ? `more than ${MAX_AUDIENCES} audiences, or one too long` : undefined;
}

function invalid(details: string): Result<never, CallRefusal> {
  return fail({ code: status.INVALID_ARGUMENT, details });
}
