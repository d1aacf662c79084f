import { hash, timingSafeEqual } from 'node:crypto';
import { parseCsr } from '#identity';
import { ok, type Result } from '#lib';
import type { Grant } from './issue.ts';
import { isAttestedAgent, type MeshRole, meshRole } from './mesh-identity.ts';
import { type Refusal, refuse } from './refusal.ts';

/** The join tokens, by the role they are for. */
export type JoinTokens = { readonly agent: string; readonly control: string };

/** How long the mesh's own processes are certified: long enough to sleep over a night, renewed at half of it. */
export const MESH_TTL_MS = 24 * 3_600_000;

/** Decides an enrolment: a join token is good for one role's identities and for nothing else. */
export function decideEnrolment(
  request: { readonly joinToken: string; readonly csr: Uint8Array; readonly trustDomain: string },
  tokens: JoinTokens,
): Result<Grant, Refusal> {
  const { joinToken, trustDomain } = request;
  const role = roleOf(joinToken, tokens);
  if (role === undefined) {
    return refuse('unauthenticated', 'the join token is not one of this authority');
  }
  // SECURITY: the token first, so that strangers cannot make us verify signatures.
  const parsed = parseCsr(request.csr);
  if (!parsed.ok) return refuse('invalid', `the CSR: ${parsed.error}`);
  const csr = parsed.value;
  if (csr.id.trustDomain !== trustDomain) {
    return refuse('denied', `this authority is of trust domain \`${trustDomain}\``);
  }
  // SECURITY: a join token is no evidence of hardware, cloud or cluster.
  if (meshRole(csr.id) !== role || (role === 'agent' && isAttestedAgent(csr.id))) {
    const good = role === 'agent' ? '/palisade/agent/HOST' : '/palisade/control';
    const message = `this join token is for \`spiffe://${trustDomain}${good}\`, not for \`${csr.id.text}\``;
    return refuse('denied', message);
  }
  return ok({
    id: csr.id,
    publicKeyDer: csr.publicKeyDer,
    ttlMs: MESH_TTL_MS,
    dnsNames: [],
    selectors: [],
    attestation: 'token',
    requestedBy: '',
    allowedBy: 'enrol',
  });
}

// SECURITY: both tokens are always compared, and by their digests, so that time tells neither content nor length.
function roleOf(joinToken: string, tokens: JoinTokens): MeshRole | undefined {
  const isAgent = sameSecret(joinToken, tokens.agent);
  const isControl = sameSecret(joinToken, tokens.control);
  if (isAgent) return 'agent';
  return isControl ? 'control' : undefined;
}

function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'));
}
