import { parseSpiffeId, type SpiffeId } from '#identity';

/** The mesh's own processes, as SPIFFE IDs under `/palisade/`. */
export type MeshRole = 'ca' | 'control' | 'agent';

const OWN = '/palisade/';
const AGENT = /^\/palisade\/agent\/[A-Za-z0-9._-]{1,128}$/;

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
