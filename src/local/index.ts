// local: a mesh on one machine: data folder, first-run keys, locks, sidecars, the demo. Composes the layers for bin.
export { type Demo, holdsOwnMesh, markAsDemo, startDemo } from './demo.ts';
export { type MeshFolder, openMeshFolder } from './mesh-folder.ts';
export { startAgent, startCa, startControl } from './mesh-processes.ts';
export { type ProxyRequest, type RunningProxy, startProxy } from './proxy.ts';
export { type RunRequest, runWorkload } from './run.ts';
export { explainListenError, StartError } from './start-error.ts';
export { createProcessLog } from './start-log.ts';
export { type RunningMesh, removeDataFolder, startMesh, type UpRequest } from './up.ts';
