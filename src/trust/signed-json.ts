import { ok, type Result } from '#lib';
import { canonicalJson } from './canonical-json.ts';
import { type DsseEnvelope, openEnvelope, signEnvelope, signersOf } from './dsse.ts';
import { refuse, type TrustError } from './errors.ts';
import { openPublicKey, type PolicySigner } from './policy-key.ts';

/** Signs any JSON value under a payload type of its own, e.g. a head of the issuance log. */
export function signJson(payloadType: string, value: unknown, signer: PolicySigner): DsseEnvelope {
  return signEnvelope(payloadType, canonicalJson(value), [signer]);
}

/** The value in an envelope of `payloadType` if the holder of `publicKey` (base64 SPKI DER, Ed25519) signed it. */
export function openSignedJson(
  envelope: unknown,
  payloadType: string,
  publicKey: string,
): Result<unknown, TrustError> {
  const open = openEnvelope(envelope, payloadType);
  if (!open.ok) return open;
  const key = openPublicKey(publicKey);
  if (!key.ok) return refuse('trust_root_invalid', `the key to verify with is ${key.error}`);
  if (signersOf(open.value, [key.value]).size === 0) {
    return refuse('signature_threshold', 'not signed by the expected key');
  }
  return ok(open.value.payload);
}
