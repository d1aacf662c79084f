import type { PeerSvid } from '#identity';
import type { PeerError } from './authenticate.ts';

/**
 * Says why a certificate counts no more before it expires: its serial, its identity, or everything
 * issued as early as it was revoked; undefined if it counts. `nowMs` is in ms since 1970.
 * INVARIANT: a change of revocations is a new function, since what was asked before is remembered.
 */
export type RevocationCheck = (svid: PeerSvid, nowMs: number) => PeerError | undefined;
