import type { TLSSocket } from 'node:tls';
import { certificateChain } from '#lib';

/** The certificates a TLS peer sent, leaf first, as DER; empty where it sent none. */
export function peerChain(socket: TLSSocket): readonly Uint8Array[] {
  return certificateChain(socket.getPeerCertificate(true));
}
