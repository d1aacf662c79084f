// local: a mesh on one machine: data folder, first-run keys, locks, sidecars, the demo. Composes the layers for bin.
// Each process loads its own part only: a sidecar that brought the control plane along would cost 30 MB more.

export type { Demo } from './demo.ts';
export type { MeshFolder } from './mesh-folder.ts';
export type { ProxyRequest, RunningProxy } from './proxy.ts';
export type { RunRequest } from './run.ts';
export { SIDECAR_ENV, SIDECAR_FLAGS } from './sidecar.ts';
export {
  explainAuthorityError,
  explainListenError,
  readProblem,
  StartError,
} from './start-error.ts';
export type { RunningMesh, UpRequest } from './up.ts';

/** How the keys of the CA are kept; on its own, for the CA alone. */
export const loadAuthorityKeys = () => import('./authority-keys.ts');
/** What `palisade up` is made of. */
export const loadUp = () => import('./up.ts');
/** The demo shop. */
export const loadDemo = () => import('./demo.ts');
/** Data folders and the mesh processes that live in them. */
export const loadMeshProcesses = () => import('./mesh-processes.ts');
/** The sidecar. */
export const loadProxy = () => import('./proxy.ts');
/** What `palisade run` starts first. */
export const loadLaunchSidecar = () => import('./launch-sidecar.ts');
/** `palisade run`. */
export const loadRun = () => import('./run.ts');
