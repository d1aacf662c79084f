import { createPublicKey, type KeyObject } from 'node:crypto';
import { type JwtKey, jwtKeyOf } from '#identity';
import { ok, type Result } from '#lib';
import type { DsseEnvelope } from './dsse.ts';
import { refuse, type TrustError } from './errors.ts';
import type { PolicySigner } from './policy-key.ts';
import { decodeBase64, hasExactly, isCount, isInstant } from './shape.ts';
import { openSignedJson, signJson } from './signed-json.ts';
import type { TrustRoot } from './trust-root.ts';

/** The keys that verify a trust domain's JWT-SVIDs, as its authority says them. */
export type JwtKeySet = {
  /** Grows with every change. */
  readonly sequence: number;
  readonly keys: readonly JwtKey[];
};

/**
 * DSSE's payload type of a key document. It is signed with the issuance log's key, which the trust root pins: so the
 * authority rotates these keys by itself, and nobody on the way to an agent can add one.
 */
const JWT_KEYS_TYPE = 'application/vnd.palisade.jwt-keys+json';

const MAX_KEYS = 64;
const MAX_KEY_BYTES = 512;

/** Signs a key document with the log's key. */
export function signJwtKeys(
  set: JwtKeySet,
  options: { readonly trustDomain: string; readonly nowMs: number; readonly signer: PolicySigner },
): DsseEnvelope {
  const { trustDomain, nowMs, signer } = options;
  const keys = set.keys.map(({ publicKey }) =>
    publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  );
  const issuedAt = new Date(nowMs).toISOString();
  return signJson(JWT_KEYS_TYPE, { trustDomain, sequence: set.sequence, issuedAt, keys }, signer);
}

/** The keys in an envelope, if the authority of `root` signed it. */
export function openJwtKeys(envelope: unknown, root: TrustRoot): Result<JwtKeySet, TrustError> {
  const opened = openSignedJson(envelope, JWT_KEYS_TYPE, root.issuanceLogKey);
  if (!opened.ok) return opened;
  const bad = (message: string) => refuse('malformed', `the key document: ${message}`);
  const { value } = opened;
  if (!hasExactly(value, ['trustDomain', 'sequence', 'issuedAt', 'keys'])) {
    return bad('members are missing or unknown');
  }
  const { trustDomain, sequence, issuedAt, keys } = value;
  if (trustDomain !== root.trustDomain) {
    return refuse('wrong_trust_domain', 'JWT keys of another trust domain');
  }
  if (!isCount(sequence, 1) || !isInstant(issuedAt)) return bad('no sequence or no time');
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) return bad('no keys');
  const imported = keys.map(importP256);
  const usable = imported.filter((key) => key !== undefined);
  if (usable.length < imported.length) return bad('a key is not one of P-256');
  return ok({ sequence, keys: usable.map(jwtKeyOf) });
}

function importP256(text: unknown): KeyObject | undefined {
  const der = decodeBase64(text, MAX_KEY_BYTES);
  if (der === undefined) return undefined;
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined;
  } catch {
    // Bytes that are no key.
    return undefined;
  }
}
