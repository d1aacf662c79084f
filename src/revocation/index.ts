// revocation: who counts no more. A store on disk of signed entries, and streams by which holders tell each other; the
// control plane, the CA, agents and proxies all hold one, and none of them is believed by the others.
export { followRevocations, type RevocationFollower } from './follow.ts';
export { createRevocationService } from './service.ts';
export { openRevocationStore, type Received, type RevocationStore } from './store.ts';
