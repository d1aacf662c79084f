import type { TLSSocket } from 'node:tls';
import type { Bundle, PeerSvid, RevocationCheck } from '#identity';
import { fail, type Result } from '#lib';
import {
  type PeerError,
  type PeerRules,
  peerChain,
  type TlsFacts,
  tlsFacts,
  verifyPeer,
} from './authenticate.ts';

/**
 * The peer at the other end of a TLS connection: verified when it came, and again when the bundles or
 * the revocations are others than those it was verified by.
 */
export class TlsPeer {
  /** What records say of the connection. */
  readonly facts: TlsFacts;
  readonly #chain: readonly Uint8Array[];
  readonly #resumed: boolean;
  #outcome: Result<PeerSvid, PeerError>;
  #bundles: readonly Bundle[];
  #revocations: RevocationCheck | undefined;

  /** `socket` has finished its handshake. */
  constructor(socket: TLSSocket, rules: PeerRules) {
    // Read now: a client has the server's certificate no more once its handshake is long over.
    this.#chain = peerChain(socket);
    this.facts = tlsFacts(socket);
    this.#resumed = socket.isSessionReused();
    this.#bundles = rules.identity.bundles;
    this.#revocations = rules.revocations;
    this.#outcome = this.#verify(rules);
  }

  /** Who it is by the rules of now, or why it is nobody. */
  current(rules: PeerRules): Result<PeerSvid, PeerError> {
    const { identity, revocations } = rules;
    if (identity.bundles !== this.#bundles || revocations !== this.#revocations) {
      this.#bundles = identity.bundles;
      this.#revocations = revocations;
      // The question is whether it still counts; the certificate was shown while it was valid.
      const validAt = this.#outcome.ok ? this.#outcome.value.expiresAt : rules.nowMs;
      this.#outcome = this.#verify({ ...rules, nowMs: Math.min(rules.nowMs, validAt) });
    }
    return this.#outcome;
  }

  // SECURITY: a resumed session showed no certificate of its own, and we issue no tickets.
  #verify(rules: PeerRules): Result<PeerSvid, PeerError> {
    if (this.#resumed) return fail({ code: 'resumed', message: 'the session was resumed' });
    return verifyPeer(this.#chain, rules);
  }
}
