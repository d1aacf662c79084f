import type { TLSSocket } from 'node:tls';

/** What a mesh demands of the key exchange of its connections. */
export type KeyExchange = 'prefer-hybrid' | 'require-hybrid';

/** The post-quantum hybrid: an attacker who records now and computes later has to break both halves. */
export const HYBRID_GROUP = 'X25519MLKEM768';

/**
 * Groups for `SSL_CTX_set1_groups_list`. The slash makes a tuple each: a server asks a caller that
 * offers both, but sent a share for X25519 only, to try again with the hybrid.
 */
export const GROUPS: Readonly<Record<KeyExchange, string>> = {
  'prefer-hybrid': `${HYBRID_GROUP} / X25519`,
  'require-hybrid': HYBRID_GROUP,
};

/** Whether a connection with this group may carry calls; without a snapshot nothing is demanded yet. */
export function isGroupAccepted(
  group: string | undefined,
  demanded: KeyExchange | undefined,
): boolean {
  return demanded !== 'require-hybrid' || group === HYBRID_GROUP;
}

// IANA "TLS Supported Groups"; what is not here is written as its number.
const NAMES: Readonly<Record<number, string>> = {
  0x0017: 'secp256r1',
  0x0018: 'secp384r1',
  0x0019: 'secp521r1',
  0x001d: 'X25519',
  0x001e: 'X448',
  0x11eb: 'SecP256r1MLKEM768',
  0x11ec: HYBRID_GROUP,
  0x11ed: 'SecP384r1MLKEM1024',
};

/**
 * The group that the key exchange of a finished handshake used, on either side; undefined if OpenSSL
 * does not say. Node.js tells it to clients only, but the session that a server writes out holds it.
 */
export function negotiatedGroup(socket: TLSSocket): string | undefined {
  const told: { readonly name?: string } | null = socket.getEphemeralKeyInfo() as object | null;
  if (told !== null) return told.name;
  const session = socket.getSession();
  const group = session === undefined ? undefined : decodeSessionGroup(session);
  return group === undefined ? undefined : (NAMES[group] ?? `0x${group.toString(16)}`);
}

const SEQUENCE = 0x30;
/** `[19] EXPLICIT INTEGER`, the field `kex_group` of OpenSSL's SSL_SESSION_ASN1. */
const KEX_GROUP = 0xb3;

/** The number of the group in a session as `i2d_SSL_SESSION` writes it; undefined if there is none. */
export function decodeSessionGroup(session: Uint8Array): number | undefined {
  const outer = elementAt(session, 0);
  if (outer?.tag !== SEQUENCE) return undefined;
  for (let at = outer.start; at < outer.end; ) {
    const element = elementAt(session, at);
    if (element === undefined || element.end > outer.end) return undefined;
    if (element.tag === KEX_GROUP) {
      const integer = elementAt(session, element.start);
      if (integer === undefined || integer.end !== element.end) return undefined;
      return session.slice(integer.start, integer.end).reduce((sum, byte) => sum * 256 + byte, 0);
    }
    at = element.end;
  }
  return undefined;
}

type Element = { readonly tag: number; readonly start: number; readonly end: number };

// DER (X.690 section 8.1): one tag byte is all that OpenSSL uses here.
function elementAt(bytes: Uint8Array, at: number): Element | undefined {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  let length = first;
  let start = at + 2;
  if (first > 0x80) {
    const count = first - 0x80;
    if (count > 3) return undefined;
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0);
    start += count;
  }
  const end = start + length;
  return first === 0x80 || end > bytes.length ? undefined : { tag, start, end };
}
