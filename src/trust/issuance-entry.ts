import { hash } from 'node:crypto';
import type { AttestationStrength } from '#identity';
import { canonicalJson } from './canonical-json.ts';

/** What the log says of one certificate or JWT-SVID. */
export type LogFields = {
  readonly timeMs: number;
  readonly spiffeId: string;
  /** Lower-case hex. */
  readonly serial: string;
  readonly expiresAtMs: number;
  /** What the agent attested; empty for the mesh's own identities. */
  readonly selectors: readonly string[];
  /** SPIFFE ID of the caller; empty at enrolment, where there is none yet. */
  readonly requestedBy: string;
  /** `namespace@number` of the set whose registration allowed it, `enrol`, `renewal` or `self`. */
  readonly allowedBy: string;
  /** SHA-256 of the DER (of the token, if it is one), lower-case hex. */
  readonly certificateSha256: string;
  /** What the identity stands on; absent in entries of version 0.1 and where nothing vouches for it. */
  readonly attestation?: AttestationStrength;
  /** For a JWT-SVID, whose serial is its `jti`; absent for a certificate, as is `audience`. */
  readonly kind?: 'jwt';
  readonly audience?: readonly string[];
};

/** An entry in the chain: `hash` is over everything else, `previousHash` included. */
export type LogEntry = LogFields & {
  /** From 1, without gaps. */
  readonly number: number;
  readonly previousHash: string;
  readonly hash: string;
};

/** What the first entry has for the hash of the one before. */
export const FIRST_PREVIOUS_HASH = '0'.repeat(64);

/** The last entry's number and hash; number 0 and the first previous hash while the log is empty. */
export type LogHead = { readonly number: number; readonly hash: string };

/** What a signed head says. */
export type SignedLogHead = LogHead & {
  readonly trustDomain: string;
  readonly time: string;
  /** Root of the tree of RFC 6962 over the hashes of all entries; absent where version 0.1 signed it. */
  readonly root?: string;
};

/** DSSE's payload type of a head of the issuance log. */
export const LOG_HEAD_TYPE = 'application/vnd.palisade.issuance-head+json';

// A domain of its own: no other hash of ours is over text that begins so.
const HASH_DOMAIN = 'palisade issuance log entry\n';

/** The hash of an entry, lower-case hex: SHA-256 of a prefix and the canonical JSON of all but the hash itself. */
export function hashOf(entry: Omit<LogEntry, 'hash'>): string {
  const body = {
    number: entry.number,
    previousHash: entry.previousHash,
    timeMs: entry.timeMs,
    spiffeId: entry.spiffeId,
    serial: entry.serial,
    expiresAtMs: entry.expiresAtMs,
    selectors: entry.selectors,
    requestedBy: entry.requestedBy,
    allowedBy: entry.allowedBy,
    certificateSha256: entry.certificateSha256,
    ...(entry.attestation === undefined ? {} : { attestation: entry.attestation }),
    ...(entry.kind === undefined ? {} : { kind: entry.kind, audience: entry.audience ?? [] }),
  };
  return hash('sha256', HASH_DOMAIN + canonicalJson(body), 'hex');
}
