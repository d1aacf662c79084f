import type { TLSSocket } from 'node:tls';
import {
  type Bundle,
  type PeerSvid,
  type RevocationCheck,
  type SpiffeId,
  verifyX509Svid,
} from '#identity';
import { ok, type Result } from '#lib';
import { peerChain } from '#wire';
import { type Refusal, refuse } from './refusal.ts';

/** Who is at the other end of a connection. */
export type Caller =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'identified'; readonly svid: PeerSvid }
  | { readonly kind: 'refused'; readonly reason: string };

/** Identifies the peer of a handshake. Nobody is cut off here: a call without identity gets a sentence instead. */
export function identifyCaller(socket: TLSSocket, bundle: Bundle, nowMs: number): Caller {
  const chain = peerChain(socket);
  if (chain.length === 0) return { kind: 'anonymous' };
  const svid = verifyX509Svid(chain, bundle, nowMs);
  if (!svid.ok) return { kind: 'refused', reason: svid.error.message };
  return { kind: 'identified', svid: svid.value };
}

/** The caller's identity, still valid now and not revoked; connections outlive certificates. */
export function requireIdentity(
  caller: Caller,
  nowMs: number,
  revoked: RevocationCheck,
): Result<SpiffeId, Refusal> {
  if (caller.kind === 'anonymous') {
    return refuse(
      'unauthenticated',
      'a client certificate is needed: enrol with a join token first',
    );
  }
  if (caller.kind === 'refused') {
    return refuse('unauthenticated', `the client certificate is not accepted: ${caller.reason}`);
  }
  const { svid } = caller;
  if (nowMs >= svid.expiresAt) {
    const at = new Date(svid.expiresAt).toISOString();
    return refuse('unauthenticated', `the client certificate expired at ${at}: enrol again`);
  }
  const problem = revoked(svid, nowMs);
  if (problem !== undefined) return refuse('unauthenticated', problem.message);
  return ok(svid.id);
}
