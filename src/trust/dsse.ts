import { type KeyObject, verify } from 'node:crypto';
import { ok, type Result } from '#lib';
import { decodeCanonicalJson, decodeJson } from './canonical-json.ts';
import { refuse, type TrustError } from './errors.ts';
import type { PolicySigner } from './policy-key.ts';
import { decodeBase64, hasExactly, isText } from './shape.ts';

/** A signed message as DSSE 1.0 (Dead Simple Signing Envelope) writes it in JSON; `payload` and `sig` are base64. */
export type DsseEnvelope = {
  readonly payloadType: string;
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
};

/** An envelope whose shape is good and whose payload is canonical JSON; nothing is verified yet. */
export type OpenEnvelope = {
  readonly envelope: DsseEnvelope;
  /** What the signatures are over. */
  readonly signedBytes: Uint8Array;
  readonly payload: unknown;
};

/** A public key under its id. */
export type VerificationKey = { readonly keyId: string; readonly key: KeyObject };

const MAX_SIGNATURES = 32;
const MAX_PAYLOAD_BYTES = 1024 * 1024;
const MAX_ENVELOPE_BYTES = 2 * MAX_PAYLOAD_BYTES;

/** DSSE's pre-authentication encoding: what is signed, so that type and payload cannot trade bytes. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${type.length} `),
    type,
    Buffer.from(` ${payload.length} `),
    payload,
  ]);
}

/** Signs `payloadText` (canonical JSON). */
export function signEnvelope(
  payloadType: string,
  payloadText: string,
  signers: readonly PolicySigner[],
): DsseEnvelope {
  const payload = Buffer.from(payloadText);
  const bytes = preAuthEncoding(payloadType, payload);
  return {
    payloadType,
    payload: payload.toString('base64'),
    signatures: signers.map((signer) => signatureOf(signer, bytes)),
  };
}

/** The same message with one signature more, for thresholds above one; a signer that signed already is replaced. */
export function countersign(envelope: DsseEnvelope, signer: PolicySigner): DsseEnvelope {
  const bytes = preAuthEncoding(envelope.payloadType, Buffer.from(envelope.payload, 'base64'));
  const others = envelope.signatures.filter((signature) => signature.keyid !== signer.keyId);
  return { ...envelope, signatures: [...others, signatureOf(signer, bytes)] };
}

/** The envelope's JSON as it travels. */
export function encodeEnvelope(envelope: DsseEnvelope): Uint8Array {
  return Buffer.from(JSON.stringify(envelope));
}

/** Reads an envelope's JSON; only shape is checked. */
export function decodeEnvelope(bytes: Uint8Array): Result<DsseEnvelope, TrustError> {
  if (bytes.length > MAX_ENVELOPE_BYTES) {
    return refuse('too_large', `an envelope of ${bytes.length} bytes`);
  }
  const parsed = decodeJson(bytes);
  if (!parsed.ok) return refuse('malformed', `the envelope is ${parsed.error}`);
  return parseEnvelope(parsed.value.value);
}

/** Checks that `value` has an envelope's shape, exactly. */
export function parseEnvelope(value: unknown): Result<DsseEnvelope, TrustError> {
  if (
    !hasExactly(value, ['payloadType', 'payload', 'signatures']) ||
    !isText(value['payloadType'], 128) ||
    typeof value['payload'] !== 'string' ||
    !Array.isArray(value['signatures'])
  ) {
    return refuse('malformed', 'not a DSSE envelope');
  }
  if (value['signatures'].length > MAX_SIGNATURES) {
    return refuse('too_large', `an envelope with more than ${MAX_SIGNATURES} signatures`);
  }
  if (value['payload'].length > MAX_ENVELOPE_BYTES) {
    return refuse('too_large', 'an envelope whose payload is too large');
  }
  const good = value['signatures'].every(
    (entry: unknown) =>
      hasExactly(entry, ['keyid', 'sig']) &&
      isText(entry['keyid'], 128) &&
      isText(entry['sig'], 128),
  );
  if (!good) return refuse('malformed', 'a signature of the envelope has not the shape of one');
  return ok(value as DsseEnvelope);
}

/** Reads the payload of an envelope that must be of `payloadType`. */
export function openEnvelope(
  value: unknown,
  payloadType: string,
): Result<OpenEnvelope, TrustError> {
  const parsed = parseEnvelope(value);
  if (!parsed.ok) return parsed;
  const envelope = parsed.value;
  if (envelope.payloadType !== payloadType) {
    return refuse('malformed', `the envelope holds no \`${payloadType}\``);
  }
  const bytes = decodeBase64(envelope.payload, MAX_PAYLOAD_BYTES);
  if (bytes === undefined) return refuse('malformed', 'the payload is not canonical base64');
  const payload = decodeCanonicalJson(bytes);
  if (!payload.ok) return refuse('malformed', `the payload is ${payload.error}`);
  return ok({
    envelope,
    signedBytes: preAuthEncoding(payloadType, bytes),
    payload: payload.value,
  });
}

/** The ids among `keys` that validly signed; each counts once, however often it signed. */
export function signersOf(open: OpenEnvelope, keys: readonly VerificationKey[]): Set<string> {
  const valid = new Set<string>();
  for (const { keyid, sig } of open.envelope.signatures) {
    if (valid.has(keyid)) continue;
    const known = keys.find((candidate) => candidate.keyId === keyid);
    const signature = known && decodeBase64(sig, 64);
    if (signature?.length !== 64) continue;
    if (known && verify(null, open.signedBytes, known.key, signature)) valid.add(keyid);
  }
  return valid;
}

function signatureOf(signer: PolicySigner, bytes: Uint8Array): { keyid: string; sig: string } {
  return { keyid: signer.keyId, sig: Buffer.from(signer.sign(bytes)).toString('base64') };
}
