// client: how commands find a mesh, talk to its API, and sign changes of its policy.
export { type ApiClient, ApiError, UnknownRouteError } from './api-client.ts';
export { type DataFolder, defaultDataDir, layoutOf } from './data-folder.ts';
export { fileProblem, makeFolders, shownPath } from './file-problem.ts';
export { type MeshSettings, readMeshSettings } from './mesh-settings.ts';
export {
  type Author,
  type Change,
  commitChanges,
  fetchPolicySet,
  type LiveSet,
  type StoredCommit,
} from './policy-set.ts';
export { findPortHolder, type PortHolder } from './port-holder.ts';
export {
  fetchRevocations,
  type HeldRevocations,
  holdRevocations,
  readJournal,
  signNextRevocation,
  submitRevocations,
  submitToAgent,
} from './revocations.ts';
export {
  certificateOf,
  fetchNextRoot,
  phaseOf,
  type RotationPhase,
  refreshTrustRoot,
  rootDigest,
  rootsIn,
  rootsOf,
  succeedRoots,
} from './rotation.ts';
export { loadAuthor, openSession, type Session } from './session.ts';
export { readTrustRoot } from './trust-root-file.ts';
