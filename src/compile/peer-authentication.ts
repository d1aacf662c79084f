import { type PeerAuthenticationResource, ROOT_NAMESPACE } from '#resource';
import type { PeerMode } from '#snapshot';
import { type ResourceSets, resourcesOf } from './input.ts';
import { labelsMatch, type SelectedWorkload } from './selection.ts';

/** The mode of one port and the resource that set it, undefined where it is the built-in STRICT. */
export type ResolvedPeerMode = { readonly mode: PeerMode; readonly from: string | undefined };

/**
 * How the callers of a port must come: the port's own mode, then the workload's (a selector of its
 * namespace), then the namespace's, then the root namespace's, then the Mesh's, then STRICT. `UNSET`
 * and absent inherit. Of several resources on one level the first by name counts; Istio takes the
 * oldest, but a signed set holds no times of creation. Port numbers are those of the Service.
 */
export function resolvePeerMode(
  sets: ResourceSets,
  workload: SelectedWorkload,
  port: number,
): ResolvedPeerMode {
  const own = resourcesOf(sets, workload.namespace, 'PeerAuthentication');
  const specific = own.find(
    (found) => !isWide(found) && labelsMatch(found.spec.selector?.matchLabels, workload.labels),
  );
  const wide = own.find(isWide);
  const root = resourcesOf(sets, ROOT_NAMESPACE, 'PeerAuthentication').find(isWide);
  const resolved =
    set(specific, specific?.spec.portLevelMtls?.[String(port)]?.mode) ??
    set(specific, specific?.spec.mtls?.mode) ??
    set(wide, wide?.spec.mtls?.mode) ??
    set(root, root?.spec.mtls?.mode) ??
    meshMode(sets);
  return atLeast(resolved, sets);
}

const STRENGTH: readonly PeerMode[] = ['DISABLE', 'PERMISSIVE', 'STRICT'];

/** SECURITY: a namespace cannot open what the mesh closes. */
function atLeast(resolved: ResolvedPeerMode, sets: ResourceSets): ResolvedPeerMode {
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  const minimum = mesh?.spec.peerAuthentication.minimum;
  if (minimum === undefined || STRENGTH.indexOf(resolved.mode) >= STRENGTH.indexOf(minimum)) {
    return resolved;
  }
  return { mode: minimum, from: `the minimum of Mesh ${mesh?.metadata.name}` };
}

function isWide(resource: PeerAuthenticationResource): boolean {
  return Object.keys(resource.spec.selector?.matchLabels ?? {}).length === 0;
}

function set(
  resource: PeerAuthenticationResource | undefined,
  mode: PeerMode | 'UNSET' | undefined,
): ResolvedPeerMode | undefined {
  if (resource === undefined || mode === undefined || mode === 'UNSET') return undefined;
  const { namespace, name } = resource.metadata;
  return { mode, from: `PeerAuthentication ${namespace}/${name}` };
}

function meshMode(sets: ResourceSets): ResolvedPeerMode {
  const mesh = resourcesOf(sets, ROOT_NAMESPACE, 'Mesh')[0];
  if (mesh === undefined) return { mode: 'STRICT', from: undefined };
  return { mode: mesh.spec.peerAuthentication.mode, from: `Mesh ${mesh.metadata.name}` };
}
