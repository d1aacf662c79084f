import type { handleUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { parseCsr } from '#identity';
import type { Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  createMessage,
  type EnrolRequest,
  type GrpcService,
  Issuance,
  type IssueX509SvidRequest,
  type ReadLogRequest,
  type ReadLogResponse,
  ReadLogResponseSchema,
  type X509SvidResponse,
  X509SvidResponseSchema,
} from '#wire';
import { type Caller, requireIdentity } from './caller.ts';
import { decideSvid, type SvidRequest } from './check.ts';
import { decideEnrolment, type JoinTokens } from './enrol.ts';
import type { IssuanceLog } from './issuance-log.ts';
import type { Grant, Issue } from './issue.ts';
import type { LogEntry } from './log-entry.ts';
import { meshRole } from './mesh-identity.ts';
import type { Policy } from './policy.ts';
import type { RateLimit } from './rate-limit.ts';
import { grpcError, type Refusal, refuse } from './refusal.ts';

/** What the service decides by and acts with. */
export type ServiceOptions = {
  readonly trustDomain: string;
  readonly joinTokens: JoinTokens;
  readonly policy: Policy;
  readonly issue: Issue;
  readonly issuanceLog: IssuanceLog;
  readonly callers: RateLimit;
  readonly enrolments: RateLimit;
  /** Who sent a call. */
  readonly callerOf: (call: { readonly getPeer: () => string }) => Caller;
  readonly rootsDer: () => readonly Uint8Array[];
  /** How long a request may wait for a registration that is still on its way here. */
  readonly patienceMs: number;
  readonly clock: () => number;
  readonly log: Log;
};

const MAX_LOG_PAGE = 1000;

/** The Issuance service of issuance.proto. */
export function createIssuanceService(options: ServiceOptions): GrpcService {
  return {
    service: Issuance,
    implementation: {
      enrol: answer<EnrolRequest, X509SvidResponse>(options, 'Enrol', (request) =>
        enrol(options, request),
      ),
      issueX509Svid: answer<IssueX509SvidRequest, X509SvidResponse>(
        options,
        'IssueX509Svid',
        (request, caller) => issueSvid(options, request, caller),
      ),
      readLog: answer<ReadLogRequest, ReadLogResponse>(
        options,
        'ReadLog',
        async (request, caller) => readLog(options, request, caller),
      ),
    },
  };
}

function answer<Request, Response>(
  options: ServiceOptions,
  method: string,
  respond: (request: Request, caller: Caller) => Promise<Result<Response, Refusal>>,
): handleUnaryCall<Request, Response> {
  return (call, done) => {
    respondTo(options, method, () => respond(call.request, options.callerOf(call)), done);
  };
}

async function respondTo<Response>(
  { log }: ServiceOptions,
  method: string,
  respond: () => Promise<Result<Response, Refusal>>,
  done: sendUnaryData<Response>,
): Promise<void> {
  try {
    const result = await respond();
    if (result.ok) return done(null, result.value);
    const { status, message } = result.error;
    log.warn(EVENT.certificateRefused, { method, status, reason: message });
    return done(grpcError(result.error));
  } catch (error) {
    // SECURITY: what broke in here is for our own log; the caller learns that it was not its fault.
    log.error(EVENT.failed, { method, error });
    return done(
      grpcError({ status: 'internal', message: 'the authority failed; its log says why' }),
    );
  }
}

async function enrol(
  options: ServiceOptions,
  request: EnrolRequest,
): Promise<Result<X509SvidResponse, Refusal>> {
  const { trustDomain, joinTokens, enrolments } = options;
  const grant = decideEnrolment({ ...request, trustDomain }, joinTokens);
  if (!grant.ok) return grant;
  // Only who holds a token spends of the limit, so that nobody else can use it up.
  const { text } = grant.value.id;
  if (!enrolments.take(text)) {
    return refuse('exhausted', `\`${text}\` enrols too often: try again in a minute`);
  }
  return sealed(options, grant.value);
}

async function issueSvid(
  options: ServiceOptions,
  { csr, selectors }: IssueX509SvidRequest,
  from: Caller,
): Promise<Result<X509SvidResponse, Refusal>> {
  const caller = requireIdentity(from, options.clock());
  if (!caller.ok) return caller;
  if (!options.callers.take(caller.value.text)) {
    return refuse(
      'exhausted',
      `\`${caller.value.text}\` asks too often: try again in a few seconds`,
    );
  }
  const parsed = parseCsr(csr);
  if (!parsed.ok) return refuse('invalid', `the CSR: ${parsed.error}`);
  const grant = await decidePatiently(options, {
    caller: caller.value,
    csr: parsed.value,
    selectors,
  });
  return grant.ok ? sealed(options, grant.value) : grant;
}

// A registration reaches the agent and this authority by different streams; an agent that was quicker should not
// have to ask twice.
async function decidePatiently(
  options: ServiceOptions,
  request: SvidRequest,
): Promise<Result<Grant, Refusal>> {
  const { policy, patienceMs } = options;
  const mayChange = meshRole(request.caller) === 'agent';
  const deadline = AbortSignal.timeout(patienceMs);
  for (;;) {
    const grant = decideSvid(request, policy.registrationsOf(request.csr.id.text));
    if (grant.ok || grant.error.status !== 'denied' || !mayChange || deadline.aborted) return grant;
    await changeOrAbort(policy, deadline);
  }
}

function changeOrAbort(policy: Policy, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const stop = policy.onChange(done);
    signal.addEventListener('abort', done);
  });
}

async function sealed(
  options: ServiceOptions,
  grant: Grant,
): Promise<Result<X509SvidResponse, Refusal>> {
  const issued = await options.issue.issue(grant);
  if (!issued.ok) return issued;
  const { der, entry } = issued.value;
  const response = createMessage(X509SvidResponseSchema, {
    chain: [new Uint8Array(der)],
    roots: options.rootsDer().map((root) => new Uint8Array(root)),
    expiresAtMs: BigInt(entry.expiresAtMs),
    logNumber: BigInt(entry.number),
    logHash: entry.hash,
  });
  return { ok: true, value: response };
}

function readLog(
  options: ServiceOptions,
  { after, limit }: ReadLogRequest,
  from: Caller,
): Result<ReadLogResponse, Refusal> {
  const caller = requireIdentity(from, options.clock());
  if (!caller.ok) return caller;
  if (meshRole(caller.value) !== 'control') {
    return refuse('denied', `\`${caller.value.text}\` may not read the issuance log`);
  }
  if (after < 0n || after > BigInt(Number.MAX_SAFE_INTEGER) || limit < 0) {
    return refuse('invalid', '`after` and `limit` are not negative');
  }
  const page = limit === 0 ? MAX_LOG_PAGE : Math.min(limit, MAX_LOG_PAGE);
  const entries = options.issuanceLog.read(Number(after), page).map(toWire);
  return { ok: true, value: createMessage(ReadLogResponseSchema, { entries }) };
}

function toWire(entry: LogEntry) {
  const { hash, previousHash, spiffeId, serial, requestedBy, allowedBy, certificateSha256 } = entry;
  return {
    hash,
    previousHash,
    spiffeId,
    serial,
    requestedBy,
    allowedBy,
    certificateSha256,
    number: BigInt(entry.number),
    timeMs: BigInt(entry.timeMs),
    expiresAtMs: BigInt(entry.expiresAtMs),
    selectors: [...entry.selectors],
  };
}
