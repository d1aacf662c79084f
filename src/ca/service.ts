import type { handleUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { isHash, isSize } from '#audit';
import {
  BACKDATE_MS,
  type Bundle,
  parseCsr,
  parseSpiffeId,
  type RevocationCheck,
  requesterTag,
} from '#identity';
import { ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { encodeEnvelope, type LogEntry } from '#trust';
import {
  createMessage,
  type EnrolRequest,
  type FetchCrlRequest,
  type FetchCrlResponse,
  FetchCrlResponseSchema,
  type FetchJwtKeysRequest,
  type FetchJwtKeysResponse,
  FetchJwtKeysResponseSchema,
  type GrpcService,
  Issuance,
  type IssueJwtSvidRequest,
  type IssueX509SvidRequest,
  type JwtSvidResponse,
  JwtSvidResponseSchema,
  type PrepareRootRequest,
  type PrepareRootResponse,
  PrepareRootResponseSchema,
  type ReadLogRequest,
  type ReadLogResponse,
  ReadLogResponseSchema,
  type WitnessAuditLogRequest,
  type WitnessAuditLogResponse,
  WitnessAuditLogResponseSchema,
  type X509SvidResponse,
  X509SvidResponseSchema,
} from '#wire';
import { createAttestAgent } from './attest-agent.ts';
import type { AuditWitness } from './audit-witness.ts';
import { type Caller, requireIdentity } from './caller.ts';
import { decideJwtSvid, decideSvid, type SignedRegistration } from './check.ts';
import { decideEnrolment, type JoinTokens } from './enrol.ts';
import type { Hosts } from './hosts.ts';
import type { IssuanceLog } from './issuance-log.ts';
import type { Grant, Issue } from './issue.ts';
import type { createIssueJwt } from './issue-jwt.ts';
import type { JwtKeys } from './jwt-keys.ts';
import { meshRole } from './mesh-identity.ts';
import type { CaMetrics } from './metrics.ts';
import type { Policy } from './policy.ts';
import type { RateLimit } from './rate-limit.ts';
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
  readonly issuanceLog: IssuanceLog;
  /** The log's head now, signed and encoded. */
  readonly signedHead: () => Uint8Array;
  /** The revocation list of now, DER. */
  readonly crl: () => Uint8Array | undefined;
  /** A signed statement of the next root, encoded. */
  readonly nextRoot: () => Uint8Array;
  readonly witness: AuditWitness;
  readonly hosts: Hosts;
  /** The revocations of now. */
  readonly revoked: () => RevocationCheck;
  readonly bundle: () => Bundle;
  /** By agent. */
  readonly callers: RateLimit;
  /** By agent and the identity it asks for. */
  readonly identities: RateLimit;
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
      attestAgent: createAttestAgent({ ...options, seal: (grant) => sealed(options, grant) }),
      issueX509Svid: answer<IssueX509SvidRequest, X509SvidResponse>(
        options,
        'IssueX509Svid',
        (request, caller) => issueSvid(options, request, caller),
      ),
      fetchCrl: answer<FetchCrlRequest, FetchCrlResponse>(
        options,
        'FetchCrl',
        async (_request, caller) => fetchCrl(options, caller),
      ),
      prepareRoot: answer<PrepareRootRequest, PrepareRootResponse>(
        options,
        'PrepareRoot',
        async (_request, caller) => prepareRoot(options, caller),
      ),
      witnessAuditLog: answer<WitnessAuditLogRequest, WitnessAuditLogResponse>(
        options,
        'WitnessAuditLog',
        async (request, caller) => witnessAuditLog(options, request, caller),
      ),
      readLog: answer<ReadLogRequest, ReadLogResponse>(
        options,
        'ReadLog',
        async (request, caller) => readLog(options, request, caller),
      ),
      issueJwtSvid: answer<IssueJwtSvidRequest, JwtSvidResponse>(
        options,
        'IssueJwtSvid',
        (request, caller) => issueJwtSvid(options, request, caller),
      ),
      fetchJwtKeys: answer<FetchJwtKeysRequest, FetchJwtKeysResponse>(
        options,
        'FetchJwtKeys',
        async (_request, caller) => fetchJwtKeys(options, caller),
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
  { log, answered }: ServiceOptions,
  method: string,
  respond: () => Promise<Result<Response, Refusal>>,
  done: sendUnaryData<Response>,
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
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  if (!options.callers.take(caller.value.text)) {
    return refuse(
      'exhausted',
      `\`${caller.value.text}\` asks too often: try again in a few seconds`,
    );
  }
  const parsed = parseCsr(csr);
  if (!parsed.ok) return refuse('invalid', `the CSR: ${parsed.error}`);
  const { text } = parsed.value.id;
  // By the asker too: one host that asks without end must not keep the others from an identity they share.
  if (!options.identities.take(`${caller.value.text} ${text}`)) {
    return refuse('exhausted', `\`${text}\` is asked for too often: try again in a few seconds`);
  }
  const host = options.hosts.evidenceOf(caller.value);
  const request = { caller: caller.value, host, csr: parsed.value, selectors };
  const grant = await decidePatiently({
    options,
    isPatient: meshRole(caller.value) === 'agent',
    id: text,
    decide: (registrations) => decideSvid(request, registrations),
  });
  return grant.ok ? sealed(options, grant.value) : grant;
}

async function issueJwtSvid(
  options: ServiceOptions,
  { spiffeId, audience, selectors }: IssueJwtSvidRequest,
  from: Caller,
): Promise<Result<JwtSvidResponse, Refusal>> {
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  if (!options.callers.take(caller.value.text)) {
    return refuse(
      'exhausted',
      `\`${caller.value.text}\` asks too often: try again in a few seconds`,
    );
  }
  const id = parseSpiffeId(spiffeId);
  if (!id.ok) return refuse('invalid', id.error);
  const host = options.hosts.evidenceOf(caller.value);
  const request = { caller: caller.value, host, id: id.value, audience, selectors };
  const grant = await decidePatiently({
    options,
    isPatient: meshRole(caller.value) === 'agent',
    id: id.value.text,
    decide: (registrations) => decideJwtSvid(request, registrations),
  });
  if (!grant.ok) return grant;
  const refused = await revokedAlready(options, grant.value);
  if (refused !== undefined) return refused;
  const issuer = options.policy.jwtIssuer();
  const issued = await options.issueJwt({ ...grant.value, issuer });
  if (!issued.ok) return issued;
  const { token, entry, keysSequence } = issued.value;
  return ok(
    createMessage(JwtSvidResponseSchema, {
      token,
      issuedAtMs: BigInt(entry.timeMs),
      expiresAtMs: BigInt(entry.expiresAtMs),
      keysSequence: BigInt(keysSequence),
      logNumber: BigInt(entry.number),
      logHash: entry.hash,
    }),
  );
}

function fetchJwtKeys(
  options: ServiceOptions,
  from: Caller,
): Result<FetchJwtKeysResponse, Refusal> {
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  if (meshRole(caller.value) === undefined) {
    return refuse('denied', `\`${caller.value.text}\` is not of the mesh itself`);
  }
  options.jwtKeys.current();
  const envelope = encodeEnvelope(options.jwtKeys.envelope());
  return ok(createMessage(FetchJwtKeysResponseSchema, { envelope }));
}

// A registration reaches the agent and this authority by different streams; an agent that was quicker should not
// have to ask twice.
async function decidePatiently<T>(question: {
  readonly options: ServiceOptions;
  readonly isPatient: boolean;
  readonly id: string;
  readonly decide: (registrations: readonly SignedRegistration[]) => Result<T, Refusal>;
}): Promise<Result<T, Refusal>> {
  const { id, decide, isPatient } = question;
  const { policy, patienceMs } = question.options;
  let deadline: AbortSignal | undefined;
  for (;;) {
    const grant = decide(policy.registrationsOf(id));
    if (grant.ok || grant.error.status !== 'denied' || !isPatient) return grant;
    deadline ??= AbortSignal.timeout(patienceMs);
    if (deadline.aborted) return grant;
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
  const refused = await revokedAlready(options, grant);
  if (refused !== undefined) return refused;
  const issued = await options.issue.issue(grant);
  if (!issued.ok) return issued;
  const { chain, entry } = issued.value;
  const isAgent = meshRole(grant.id) === 'agent';
  if (isAgent) options.hosts.certified(grant, entry);
  const response = createMessage(X509SvidResponseSchema, {
    chain: chain.map((der) => new Uint8Array(der)),
    roots: options.rootsDer().map((root) => new Uint8Array(root)),
    expiresAtMs: BigInt(entry.expiresAtMs),
    logNumber: BigInt(entry.number),
    logHash: entry.hash,
    hostSelectors: isAgent ? [...options.hosts.evidenceOf(grant.id).selectors] : [],
    logHead: options.signedHead(),
  });
  return { ok: true, value: response };
}

/**
 * SECURITY: what is revoked for good is not given again; only what a new credential would cure is. Credentials know
 * seconds only: one of the very second up to which all were revoked would count as revoked, so the next is waited for.
 */
async function revokedAlready(
  { clock, revoked }: ServiceOptions,
  { id, requestedBy }: Pick<Grant, 'id' | 'requestedBy'>,
): Promise<Result<never, Refusal> | undefined> {
  const nowMs = clock();
  const requester = requestedBy === '' ? undefined : requesterTag(requestedBy);
  const problemAt = (issuedAt: number) =>
    revoked()({ id, serial: '', notBefore: issuedAt - BACKDATE_MS, requester }, nowMs);
  const secondMs = Math.floor(nowMs / 1000) * 1000;
  if (problemAt(secondMs) === undefined) return undefined;
  const problem = problemAt(secondMs + 1000);
  if (problem !== undefined) return refuse('denied', problem.message);
  await new Promise((resolve) => setTimeout(resolve, secondMs + 1000 - nowMs));
  return undefined;
}

function fetchCrl(options: ServiceOptions, from: Caller): Result<FetchCrlResponse, Refusal> {
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  const crl = options.crl();
  if (crl === undefined) return refuse('unavailable', 'the list is being made');
  return ok(createMessage(FetchCrlResponseSchema, { crl }));
}

function prepareRoot(options: ServiceOptions, from: Caller): Result<PrepareRootResponse, Refusal> {
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  // Harmless by itself: the root counts for nobody until authors sign a trust root that names it.
  if (meshRole(caller.value) !== 'control') {
    return refuse('denied', `\`${caller.value.text}\` may not prepare a root`);
  }
  return ok(createMessage(PrepareRootResponseSchema, { envelope: options.nextRoot() }));
}

function witnessAuditLog(
  options: ServiceOptions,
  request: WitnessAuditLogRequest,
  from: Caller,
): Result<WitnessAuditLogResponse, Refusal> {
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  if (meshRole(caller.value) !== 'control') {
    return refuse('denied', `\`${caller.value.text}\` has no audit log to witness`);
  }
  const { root, last, proof } = request;
  const size = Number(request.size);
  if (!isSize(size) || !isHash(root) || !isHash(last)) {
    return refuse('invalid', 'not the end of a log');
  }
  const tip = { size, root, last, from: Number(request.fromSize), proof };
  const answer = options.witness.sign(tip);
  return ok(createMessage(WitnessAuditLogResponseSchema, { answer }));
}

function readLog(
  options: ServiceOptions,
  { after, limit }: ReadLogRequest,
  from: Caller,
): Result<ReadLogResponse, Refusal> {
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  // Agents hold the authority to its log: each follows the chain and looks for its own certificates in it.
  const role = meshRole(caller.value);
  if (role !== 'control' && role !== 'agent') {
    return refuse('denied', `\`${caller.value.text}\` may not read the issuance log`);
  }
  if (after < 0n || after > BigInt(Number.MAX_SAFE_INTEGER) || limit < 0) {
    return refuse('invalid', '`after` and `limit` are not negative');
  }
  const page = limit === 0 ? MAX_LOG_PAGE : Math.min(limit, MAX_LOG_PAGE);
  const entries = options.issuanceLog.read(Number(after), page).map(toWire);
  const { checkpoint, refused } = options.witness.state();
  return {
    ok: true,
    value: createMessage(ReadLogResponseSchema, {
      entries,
      head: options.signedHead(),
      auditCheckpoint: checkpoint,
      auditRefused: refused,
    }),
  };
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
    kind: entry.kind ?? '',
    attestation: entry.attestation ?? '',
    audience: [...(entry.audience ?? [])],
  };
}
