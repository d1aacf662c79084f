import { status } from '@grpc/grpc-js';
import { type Bundle, type Csr, parseCsr, parseJsonObject, type RevocationCheck } from '#identity';
import { fail, ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import {
  type AttestAgentRequest,
  type AttestAgentResponse,
  AttestAgentResponseSchema,
  type AttestBegin,
  createMessage,
  type GrpcCall,
  type X509SvidResponse,
} from '#wire';
import { awsIid } from './attestors/aws-iid.ts';
import { azureMsi } from './attestors/azure-msi.ts';
import { gcpIit } from './attestors/gcp-iit.ts';
import { joinToken } from './attestors/join-token.ts';
import { k8sPsat } from './attestors/k8s-psat.ts';
import type {
  AttestationContext,
  AttestedHost,
  Evidence,
  NodeAttestor,
} from './attestors/node-attestor.ts';
import { ownCertificate } from './attestors/own-certificate.ts';
import { sshpop } from './attestors/sshpop.ts';
import { tpm } from './attestors/tpm.ts';
import { x509pop } from './attestors/x509pop.ts';
import { MESH_TTL_MS } from './enrol.ts';
import type { HostEvidence, Hosts } from './hosts.ts';
import type { Grant } from './issue.ts';
import type { Policy } from './policy.ts';
import type { RateLimit } from './rate-limit.ts';
import { grpcError, type Refusal, refuse } from './refusal.ts';

/** What attesting agents needs. */
export type AttestAgentOptions = {
  readonly trustDomain: string;
  readonly policy: Policy;
  readonly hosts: Hosts;
  readonly bundle: () => Bundle;
  readonly revoked: () => RevocationCheck;
  /** Signs a grant and wraps it. */
  readonly seal: (grant: Grant) => Promise<Result<X509SvidResponse, Refusal>>;
  readonly enrolments: RateLimit;
  readonly clock: () => number;
  readonly log: Log;
};

type Call = GrpcCall<AttestAgentRequest, AttestAgentResponse>;
type Attempt = { readonly attestor: string; readonly csr: Csr; readonly host: AttestedHost };

const ATTESTORS: Readonly<Record<string, NodeAttestor>> = {
  join_token: joinToken,
  svid: ownCertificate,
  x509pop,
  sshpop,
  tpm,
  k8s_psat: k8sPsat,
  aws_iid: awsIid,
  gcp_iit: gcpIit,
  azure_msi: azureMsi,
};
// SECURITY: strangers call this; nobody needs more room or time than these.
const MAX_EVIDENCE = 64 * 1024;
const PATIENCE_MS = 30_000;

/** The AttestAgent call: evidence, at most one challenge, and a certificate for the ID that the evidence leads to. */
export function createAttestAgent(options: AttestAgentOptions): (call: Call) => void {
  return (call) => {
    const next = messagesOf(call);
    void attest(options, call, next).then(
      (result) => {
        if (result.ok) {
          call.write(svidResponse(result.value));
          call.end();
          return;
        }
        const { status, message } = result.error;
        options.log.warn(EVENT.attestationRefused, { status, reason: message });
        call.refuse(grpcError(result.error));
      },
      (error: unknown) => {
        options.log.error(EVENT.failed, { method: 'AttestAgent', error });
        const message = 'the authority failed; its log says why';
        call.refuse(grpcError({ status: 'internal', message }));
      },
    );
  };
}

async function attest(
  options: AttestAgentOptions,
  call: Call,
  next: () => Promise<AttestAgentRequest | undefined>,
): Promise<Result<X509SvidResponse, Refusal>> {
  const first = await next();
  if (first?.step.case !== 'begin') return refuse('invalid', 'the first message is the evidence');
  const begin = first.step.value;
  const { attestor } = begin;
  const verifier = Object.hasOwn(ATTESTORS, attestor) ? ATTESTORS[attestor] : undefined;
  if (verifier === undefined) return refuse('invalid', `there is no attestor \`${attestor}\``);
  // SECURITY: before any signature is verified; each kind of evidence has its own, so that a flood of one leaves others.
  if (!options.enrolments.take(`attest ${attestor}`)) {
    return refuse('exhausted', 'too many attempts at once: try again in a few seconds');
  }
  const read = readBegin(begin);
  if (!read.ok) return read;
  const { csr, evidence } = read.value;
  const step = verifier.begin(evidence, contextOf(options, csr));
  if (!step.ok) return refuse('denied', `${attestor}: ${step.error}`);
  if (step.value.kind === 'attested') {
    return admit(options, verifier, { attestor, csr, host: step.value.host });
  }
  call.write(challengeResponse(step.value.challenge));
  const second = await next();
  const answer =
    second?.step.case === 'answer' ? parseEvidence(second.step.value) : fail('no answer came');
  if (!answer.ok) return refuse('invalid', answer.error);
  const host = step.value.verify(answer.value);
  if (!host.ok) return refuse('denied', `${attestor}: ${host.error}`);
  return admit(options, verifier, { attestor, csr, host: host.value });
}

function readBegin({
  csr,
  evidence,
}: AttestBegin): Result<{ csr: Csr; evidence: Evidence }, Refusal> {
  const parsed = parseCsr(csr);
  if (!parsed.ok) return refuse('invalid', `the CSR: ${parsed.error}`);
  const object = parseEvidence(evidence);
  return object.ok
    ? ok({ csr: parsed.value, evidence: object.value })
    : refuse('invalid', object.error);
}

function contextOf(options: AttestAgentOptions, csr: Csr): AttestationContext {
  const { policy, hosts, bundle, revoked, clock } = options;
  return {
    specs: policy.nodeAttestors(),
    trustRoot: policy.trustRoot(),
    publicKeyDer: csr.publicKeyDer,
    bundle: bundle(),
    hosts,
    revoked: revoked(),
    nowMs: clock(),
  };
}

/** Certifies an attested host's agent. INVARIANT: evidence that counts once is used up before anything is signed. */
async function admit(
  options: AttestAgentOptions,
  verifier: NodeAttestor,
  { attestor, csr, host }: Attempt,
): Promise<Result<X509SvidResponse, Refusal>> {
  const { trustDomain, hosts, enrolments, clock } = options;
  const id = `spiffe://${trustDomain}/palisade/agent/${host.agent}`;
  if (csr.id.text !== id) {
    return refuse('denied', `this evidence is for \`${id}\`, not for \`${csr.id.text}\``);
  }
  if (!enrolments.take(id)) {
    return refuse('exhausted', `\`${id}\` attests too often: try again in a minute`);
  }
  const problem = useUp(hosts, csr, host);
  if (problem !== undefined) return refuse('denied', `${attestor}: ${problem}`);
  const evidence: HostEvidence = host.kept ?? {
    attestor,
    strength: verifier.strength,
    selectors: [...host.selectors, `agent:attestor:${attestor}`],
  };
  hosts.record(csr.id, { ...evidence, serial: '', attestedAt: clock() });
  return options.seal({
    id: csr.id,
    publicKeyDer: csr.publicKeyDer,
    ttlMs: MESH_TTL_MS,
    dnsNames: [],
    selectors: hosts.evidenceOf(csr.id).selectors,
    attestation: evidence.strength,
    requestedBy: '',
    allowedBy:
      host.kept === undefined ? `attested by ${attestor}` : 'attested by its last certificate',
  });
}

function useUp(hosts: Hosts, { id }: Csr, host: AttestedHost): string | undefined {
  if (host.usesUp !== undefined && !hosts.spend(host.usesUp.tokenId, host.usesUp.expiresAt)) {
    return 'the join token was used before: make another with `palisade token create`';
  }
  if (host.isFirstUseOnly && hosts.find(id) !== undefined) {
    return `\`${id.text}\` has attested before, and its evidence could be a copy: name it under \`again\` in the NodeAttestor to admit it once more`;
  }
  return undefined;
}

function parseEvidence(bytes: Uint8Array): Result<Evidence, string> {
  if (bytes.length > MAX_EVIDENCE) return fail(`evidence of more than ${MAX_EVIDENCE} bytes`);
  const object = parseJsonObject(bytes);
  return object === undefined ? fail('the evidence is not a JSON object') : ok(object);
}

function svidResponse(value: X509SvidResponse): AttestAgentResponse {
  return createMessage(AttestAgentResponseSchema, { step: { case: 'svid', value } });
}

function challengeResponse(challenge: Evidence): AttestAgentResponse {
  const value = new Uint8Array(Buffer.from(JSON.stringify(challenge)));
  return createMessage(AttestAgentResponseSchema, { step: { case: 'challenge', value } });
}

/** One message at a time; undefined once the caller has ended, or waited too long. */
function messagesOf(call: Call): () => Promise<AttestAgentRequest | undefined> {
  const arrived: AttestAgentRequest[] = [];
  let waiting: ((message: AttestAgentRequest | undefined) => void) | undefined;
  let isOver = false;
  const end = (): void => {
    isOver = true;
    clearTimeout(limit);
    waiting?.(undefined);
  };
  const limit = setTimeout(end, PATIENCE_MS);
  call.on('data', (message: AttestAgentRequest) => {
    if (waiting === undefined) arrived.push(message);
    else waiting(message);
    waiting = undefined;
    // SECURITY: a conversation is two messages; whoever sends more has nothing to say.
    if (arrived.length <= 2) return;
    call.refuse({ code: status.INVALID_ARGUMENT, details: 'too many messages' });
  });
  for (const event of ['end', 'cancelled', 'close']) call.on(event, end);
  return () => {
    const message = arrived.shift();
    if (message !== undefined || isOver) return Promise.resolve(message);
    return new Promise((resolve) => {
      waiting = resolve;
    });
  };
}
