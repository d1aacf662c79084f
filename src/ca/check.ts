import { type AttestationStrength, type Csr, type SpiffeId, strongest } from '#identity';
import { ok, parseDuration, type Result } from '#lib';
import type { RegistrationResource } from '#resource';
import { matchRegistrations } from '#trust';
import { MESH_TTL_MS } from './enrol.ts';
import type { HostEvidence } from './hosts.ts';
import type { Grant } from './issue.ts';
import type { JwtGrant } from './issue-jwt.ts';
import { isReserved, meshRole } from './mesh-identity.ts';
import { type Refusal, refuse } from './refusal.ts';

/** A signed registration and the set it stands in. */
export type SignedRegistration = {
  readonly registration: RegistrationResource;
  /** `namespace@number` */
  readonly set: string;
};

/** A request for an SVID, as it came over mutual TLS. */
export type SvidRequest = {
  readonly caller: SpiffeId;
  /** What this authority itself knows of the caller's host. */
  readonly host: HostEvidence;
  readonly csr: Csr;
  readonly selectors: readonly string[];
};

/** A request for a JWT-SVID, as it came over mutual TLS. */
export type JwtSvidRequest = {
  readonly caller: SpiffeId;
  readonly host: HostEvidence;
  readonly id: SpiffeId;
  readonly audience: readonly string[];
  readonly selectors: readonly string[];
};

/** The types of selectors that agents find out about processes. */
const PROCESS_SELECTORS: ReadonlySet<string> = new Set([
  'unix',
  'palisade',
  'systemd',
  'container',
  'k8s',
]);
const MAX_SELECTORS = 128;
const MAX_SELECTOR_LENGTH = 4200;
const MAX_AUDIENCES = 16;
const MAX_AUDIENCE_LENGTH = 1024;
const DEFAULT_TTL_MS = 3_600_000;
const DEFAULT_JWT_TTL_MS = 5 * 60_000;

/**
 * Decides who may have a certificate: the mesh's own processes the identity they have already, and an agent those
 * identities that a signed registration gives to a process with the selectors it attested. `registrations` are those
 * that name the identity asked for.
 */
export function decideSvid(
  request: SvidRequest,
  registrations: readonly SignedRegistration[],
): Result<Grant, Refusal> {
  const { caller, csr, selectors } = request;
  const role = meshRole(caller);
  if (csr.id.trustDomain !== caller.trustDomain) {
    return refuse('denied', `this authority is of trust domain \`${caller.trustDomain}\``);
  }
  // SECURITY: workloads do not renew themselves; who stole a workload's key has it until it expires.
  if (role === undefined) {
    return refuse('denied', `\`${caller.text}\` is no agent of this mesh`);
  }
  if (csr.id.text === caller.text) return ok(renewal(request));
  if (role !== 'agent') return refuse('denied', `\`${caller.text}\` may renew only itself`);
  if (isReserved(csr.id)) {
    return refuse(
      'denied',
      `\`${csr.id.text}\` is of the mesh itself: enrol for it with a join token`,
    );
  }
  const problem = selectorProblem(selectors);
  if (problem !== undefined) return refuse('invalid', problem);
  return decideWorkload(request, registrations);
}

/** Decides whether an agent may have a JWT-SVID for a workload: by the registrations that give it a certificate. */
export function decideJwtSvid(
  request: JwtSvidRequest,
  registrations: readonly SignedRegistration[],
): Result<JwtGrant, Refusal> {
  const { caller, id, audience, selectors } = request;
  if (id.trustDomain !== caller.trustDomain) {
    return refuse('denied', `this authority is of trust domain \`${caller.trustDomain}\``);
  }
  if (meshRole(caller) !== 'agent') {
    return refuse('denied', `\`${caller.text}\` is no agent of this mesh`);
  }
  // SECURITY: a token of the mesh's own would be a bearer's: they prove themselves by certificates alone.
  if (isReserved(id)) return refuse('denied', `\`${id.text}\` is of the mesh itself`);
  const problem = audienceProblem(audience) ?? selectorProblem(selectors);
  if (problem !== undefined) return refuse('invalid', problem);
  const attested = attestedSelectors(request);
  const found = registrationFor(id, attested, registrations);
  if (!found.ok) return found;
  const { spec } = found.value.registration;
  const ttl = spec.jwtTtl === undefined ? undefined : parseDuration(spec.jwtTtl);
  return ok({
    id,
    audience,
    ttlMs: ttl?.ok === true ? ttl.value : DEFAULT_JWT_TTL_MS,
    selectors: attested,
    attestation: strengthOf(request),
    requestedBy: caller.text,
    allowedBy: found.value.set,
  });
}

function registrationFor(
  id: SpiffeId,
  selectors: readonly string[],
  registrations: readonly SignedRegistration[],
): Result<SignedRegistration, Refusal> {
  const named = registrations.filter(({ registration }) => registration.spec.spiffeId === id.text);
  const found = mostSpecific(selectors, named);
  return found === undefined ? refuse('denied', missing(id.text, selectors, named)) : ok(found);
}

function selectorProblem(selectors: readonly string[]): string | undefined {
  return selectors.length > MAX_SELECTORS || selectors.some((s) => s.length > MAX_SELECTOR_LENGTH)
    ? `more than ${MAX_SELECTORS} selectors, or one too long`
    : undefined;
}

function audienceProblem(audience: readonly string[]): string | undefined {
  if (audience.length === 0 || audience.includes('')) return 'an audience is missing';
  return audience.length > MAX_AUDIENCES || audience.some((a) => a.length > MAX_AUDIENCE_LENGTH)
    ? `more than ${MAX_AUDIENCES} audiences, or one too long`
    : undefined;
}

/**
 * What is true of the process, by its agent's word, and of its host, by this authority's own book.
 * SECURITY: of hosts an agent says nothing: it could claim to be another.
 */
function attestedSelectors({ selectors, host }: SvidRequest | JwtSvidRequest): readonly string[] {
  const ofProcess = selectors.filter((selector) =>
    PROCESS_SELECTORS.has(selector.slice(0, selector.indexOf(':'))),
  );
  return [...ofProcess, ...host.selectors];
}

/** The strongest of what vouches for a process: the host's evidence, and what its agent asked of kernel or cluster. */
function strengthOf({ selectors, host }: SvidRequest | JwtSvidRequest): AttestationStrength {
  const isPod = selectors.some((selector) => selector.startsWith('k8s:'));
  return strongest([host.strength, isPod ? 'kubernetes' : 'process']);
}

function decideWorkload(
  request: SvidRequest,
  registrations: readonly SignedRegistration[],
): Result<Grant, Refusal> {
  const { caller, csr } = request;
  const selectors = attestedSelectors(request);
  const registration = registrationFor(csr.id, selectors, registrations);
  if (!registration.ok) return registration;
  const found = registration.value;
  const { spec } = found.registration;
  const ttl = parseDuration(spec.ttl);
  return ok({
    id: csr.id,
    publicKeyDer: csr.publicKeyDer,
    ttlMs: ttl.ok ? ttl.value : DEFAULT_TTL_MS,
    dnsNames: spec.dnsNames,
    selectors,
    attestation: strengthOf(request),
    requestedBy: caller.text,
    allowedBy: found.set,
  });
}

function renewal({ caller, csr, host }: SvidRequest): Grant {
  return {
    id: csr.id,
    publicKeyDer: csr.publicKeyDer,
    ttlMs: MESH_TTL_MS,
    dnsNames: [],
    selectors: host.selectors,
    attestation: host.strength,
    requestedBy: caller.text,
    allowedBy: 'renewal',
  };
}

/** The matching registration that asks for most; its lifetime and names are those meant. */
function mostSpecific(
  selectors: readonly string[],
  named: readonly SignedRegistration[],
): SignedRegistration | undefined {
  const matching = new Set(
    matchRegistrations(
      selectors,
      named.map(({ registration }) => registration),
    ),
  );
  return named
    .filter(({ registration }) => matching.has(registration))
    .reduce<SignedRegistration | undefined>(
      (best, next) => (best === undefined || weight(next) > weight(best) ? next : best),
      undefined,
    );
}

function weight({ registration }: SignedRegistration): number {
  return registration.spec.selectors.length;
}

function missing(
  id: string,
  selectors: readonly string[],
  named: readonly SignedRegistration[],
): string {
  const [nearest] = named;
  if (nearest === undefined) {
    return `no signed Registration gives \`${id}\`: apply one with \`spec.spiffeId: ${id}\` and the selectors of its process`;
  }
  const { metadata, spec } = nearest.registration;
  const lacking = spec.selectors.filter((selector) => !selectors.includes(selector));
  const name = `${metadata.namespace}/${metadata.name}`;
  return `Registration \`${name}\` gives \`${id}\` to processes with \`${lacking.join('`, `')}\`, which this one was not found to have`;
}
