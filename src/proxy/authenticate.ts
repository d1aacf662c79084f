import { constants, hash } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  TLSSocket,
} from 'node:tls';
import {
  type PeerSvid,
  type RevocationCheck,
  verifyX509Svid,
  type WorkloadIdentity,
} from '#identity';
import { fail, type Result } from '#lib';
import { GROUPS, type KeyExchange, negotiatedGroup } from './key-exchange.ts';
import { type ChunkSink, type LentRead, lentRead } from './socket-pipe.ts';

/** A peer that did not verify, by a code of `VerifyErrorCode`. */
export type PeerError = { readonly code: string; readonly message: string };

/** What peers are verified by at a moment; changed bundles or revocations are other objects. */
export type PeerRules = {
  readonly identity: WorkloadIdentity;
  readonly revocations: RevocationCheck | undefined;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
};

/** The TLS side of one workload identity; made anew when it rotates. */
export type TlsIdentity = {
  readonly identity: WorkloadIdentity;
  readonly keyExchange: KeyExchange;
  readonly context: SecureContext;
};

// SECURITY: a chain is read before it is known; `verifyX509Svid` accepts no more than this.
const MAX_CHAIN = 6;

/** Prepares handshakes with this identity: TLS 1.3 only, no tickets, so no session is ever resumed. */
export function createTlsIdentity(
  identity: WorkloadIdentity,
  keyExchange: KeyExchange,
): TlsIdentity {
  const options: SecureContextOptions = {
    key: identity.privateKeyPem,
    cert: identity.chainPem,
    // None: `verifyPeer` is what verifies, and OpenSSL with roots would check the same signatures
    // before it, a fifth of a handshake. Without this, Node.js would load the public web's roots.
    ca: [],
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ecdhCurve: GROUPS[keyExchange],
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  return { identity, keyExchange, context: createSecureContext(options) };
}

/** What HTTP/2 is called in a hello (RFC 9113 section 3.2). */
export const ALPN_H2 = 'h2';
/** What HTTP/1.1 is called in a hello (RFC 7301 section 6). */
export const ALPN_HTTP1 = 'http/1.1';

/**
 * Starts the server's side of a handshake on an accepted connection; emits `secure` when done. Without
 * `alpn` either version of HTTP is agreed on, as the client likes.
 */
export function acceptTls(
  raw: Socket,
  tls: TlsIdentity,
  alpn: readonly string[] | undefined,
): TLSSocket {
  return new TLSSocket(raw, {
    ...(alpn === undefined
      ? { ALPNCallback: ({ protocols }) => chooseProtocol(protocols) }
      : { ALPNProtocols: [...alpn] }),
    isServer: true,
    secureContext: tls.context,
    requestCert: true,
    // SECURITY: OpenSSL knows no SPIFFE; every peer goes through `verifyPeer` before a byte of it.
    rejectUnauthorized: false,
  });
}

// What nobody here speaks (Istio's sidecars offer names of their own) is accepted too, since an offer
// without an answer ends the handshake; what such a client says is then told by its first bytes.
function chooseProtocol(offered: readonly string[]): string | undefined {
  return [ALPN_H2, ALPN_HTTP1].find((known) => offered.includes(known)) ?? offered[0];
}

/**
 * Starts the client's side: emits `connect`, then `secureConnect`. `serverName` goes into the
 * hello; received bytes go to `reads` and not into the stream.
 */
export function connectTls(
  to: {
    readonly host: string;
    readonly port: number;
    readonly serverName: string;
    readonly alpn: readonly string[] | undefined;
  },
  tls: TlsIdentity,
  reads: ChunkSink,
): TLSSocket {
  // `allowHalfOpen` and `onread` are documented for tls.connect; its types forgot them.
  const options: ConnectionOptions & { readonly allowHalfOpen: true; readonly onread: LentRead } = {
    host: to.host,
    port: to.port,
    secureContext: tls.context,
    servername: to.serverName,
    ...(to.alpn === undefined ? {} : { ALPNProtocols: [...to.alpn] }),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    allowHalfOpen: true,
    onread: lentRead(reads),
  };
  return connect(options).setNoDelay(true).setKeepAlive(true, 60_000);
}

/** What records say of a TLS connection. */
export type TlsFacts = {
  readonly version: string;
  readonly cipher: string;
  readonly group: string | undefined;
};

/** What was negotiated on a connection whose handshake is over. */
export function tlsFacts(socket: TLSSocket): TlsFacts {
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    group: negotiatedGroup(socket),
  };
}

/** The certificates that the peer of a finished handshake showed, DER, leaf first. */
export function peerChain(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length <= MAX_CHAIN) {
    chain.push(certificate.raw);
    const issuer: typeof certificate | undefined = certificate.issuerCertificate;
    const isSelfSigned = issuer !== undefined && issuer.raw.equals(certificate.raw);
    certificate = isSelfSigned ? undefined : issuer;
  }
  return chain;
}

/** Verifies a peer's chain against the bundles and revocations of now. */
export function verifyPeer(
  chain: readonly Uint8Array[],
  { identity, revocations, nowMs }: PeerRules,
): Result<PeerSvid, PeerError> {
  const peer = verifyX509Svid(chain, identity.bundles, nowMs);
  const revoked = peer.ok ? revocations?.(peer.value, nowMs) : undefined;
  return revoked === undefined ? peer : fail(revoked);
}

/**
 * The value of `x-forwarded-client-cert` in Envoy's format: who we are, the SHA-256 of the peer's
 * certificate, and who it is. SPIFFE IDs need no quoting in it.
 */
export function forwardedClientCert(peer: PeerSvid, own: WorkloadIdentity): string {
  return `By=${own.id.text};Hash=${hash('sha256', peer.leafDer)};URI=${peer.id.text}`;
}
