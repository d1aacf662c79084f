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
  | { readonly kind: 'refused'; readonly reason: string; readonly chain: readonly Uint8Array[] };

/** Identifies the peer of a handshake. Nobody is cut off here: a call without identity gets a sentence instead. */
export function identifyCaller(socket: TLSSocket, bundle: Bundle, nowMs: number): Caller {
  const chain = peerChain(socket);
  return chain.length === 0 ? { kind: 'anonymous' } : identifyChain(chain, bundle, nowMs);
}

/**
 * The caller by the clock and the roots of now: whoever connected while our clock was wrong, or before a new root had
 * come, must not stay refused for as long as its connection lives.
 */
export function identifyAgain(caller: Caller, bundle: Bundle, nowMs: number): Caller {
  return caller.kind === 'refused' ? identifyChain(caller.chain, bundle, nowMs) : caller;
}

function identifyChain(chain: readonly Uint8Array[], bundle: Bundle, nowMs: number): Caller {
  const svid = verifyX509Svid(chain, bundle, nowMs);
  if (!svid.ok) return { kind: 'refused', reason: svid.error.message, chain };
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
