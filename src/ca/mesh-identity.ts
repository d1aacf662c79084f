import { parseSpiffeId, type SpiffeId } from '#identity';

/** The mesh's own processes, as SPIFFE IDs under `/palisade/`. */
export type MeshRole = 'ca' | 'control' | 'agent';

const OWN = '/palisade/';
// `agent/HOST`, or `agent/ATTESTOR/NAME` where the host proved itself.
const AGENT = /^\/palisade\/agent\/(?:[a-z0-9_]{1,32}\/)?[A-Za-z0-9._-]{1,160}$/;

/** Which of the mesh's own processes has this ID; undefined for workloads and for unknown names under `/palisade/`. */
export function meshRole(id: SpiffeId): MeshRole | undefined {
  if (id.path === '/palisade/ca') return 'ca';
  if (id.path === '/palisade/control') return 'control';
  return AGENT.test(id.path) ? 'agent' : undefined;
}

/** Whether the ID is reserved for the mesh itself, so that no registration may give it. */
export function isReserved(id: SpiffeId): boolean {
  return id.path.startsWith(OWN) || `${id.path}/` === OWN;
}

/** The ID of the authority or the control plane of a trust domain. */
export function meshId(trustDomain: string, role: 'ca' | 'control'): SpiffeId {
  const id = parseSpiffeId(`spiffe://${trustDomain}${OWN}${role}`);
  if (!id.ok) throw new Error(id.error);
  return id.value;
}

/** Whether an agent's ID is of the kind that only a host's own evidence leads to. */
export function isAttestedAgent(id: SpiffeId): boolean {
  return id.path.slice('/palisade/agent/'.length).includes('/');
}
