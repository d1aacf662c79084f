import { parseCsr } from '#identity';
import { ok, type Result } from '#lib';
import {
  createMessage,
  type EnrolRequest,
  type IssueX509SvidRequest,
  type X509SvidResponse,
  X509SvidResponseSchema,
} from '#wire';
import { requireModestCaller, type ServiceOptions } from './answer.ts';
import type { Caller } from './caller.ts';
import { decideSvid } from './check.ts';
import { decideEnrolment } from './enrol.ts';
import type { Grant } from './issue.ts';
import { meshRole } from './mesh-identity.ts';
import { decidePatiently, revokedAlready } from './patience.ts';
import { type Refusal, refuse } from './refusal.ts';

/** Enrol: a join token instead of a certificate. */
export async function enrol(
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

/** IssueX509Svid: what signed registrations give to a process that the caller attested, or the caller's own renewal. */
export async function issueSvid(
  options: ServiceOptions,
  { csr, selectors }: IssueX509SvidRequest,
  from: Caller,
): Promise<Result<X509SvidResponse, Refusal>> {
  const caller = requireModestCaller(options, from);
  if (!caller.ok) return caller;
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

/** Signs and logs what was granted. */
export async function sealed(
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
  return ok(response);
}
