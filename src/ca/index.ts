// ca: who gets which certificate. Requests pass enrol or check, then issue, which signs, logs and only then answers.
// The authority decides by signed registrations it verifies itself, and keeps deciding while the control plane is gone.

export { type Ca, type CaHealth, createCa } from './authority.ts';
export {
  type AuthorityFolder,
  importChain,
  requestAuthority,
  signRequest,
} from './authority-requests.ts';
export type { CaOptions } from './ca-options.ts';
export {
  type CaPublicParts,
  type InitializeOptions,
  initializeCa,
  readJoinToken,
} from './initialize.ts';
export type { KeyDevice } from './keys/key-device.ts';
export { openKeyDevice, parseKeyDevice } from './keys/open-device.ts';
export type { UpstreamFiles } from './upstream.ts';
