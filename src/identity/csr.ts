import type { KeyObject } from 'node:crypto';
import type { Result } from '#lib';
import { EMPTY_NAME, encodeAltNames, encodeSigned } from './certificate-fields.ts';
import { DerError, DerReader, decodeDer, TAG } from './der-read.ts';
import { readOctetBits, readOid, readSmall } from './der-values.ts';
import { encodeElement, encodeOid, encodeSequence, encodeUnsigned } from './der-write.ts';
import { readExtensions } from './extensions.ts';
import { OID } from './oid.ts';
import {
  importPublicKey,
  readKeyKind,
  readSignatureAlgorithm,
  verifySignature,
} from './public-key.ts';
import { createSigningKey, exportSpki, type SigningKey } from './signing-key.ts';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts';

/** A certificate request whose sender holds the key. */
export type Csr = {
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
  /** The identity asked for, which nobody has granted yet. */
  readonly id: SpiffeId;
};

const MAX_BYTES = 8 * 1024;
const ATTRIBUTES = 0xa0;

/** Creates a PKCS #10 request (RFC 2986) for one SPIFFE ID; throws a RangeError on a key of no accepted kind. */
export function createCsr(options: {
  readonly privateKey: KeyObject;
  /** Or its SubjectPublicKeyInfo. */
  readonly publicKey: KeyObject | Uint8Array;
  readonly id: SpiffeId;
}): Uint8Array {
  const { privateKey, publicKey } = options;
  const publicKeyDer = publicKey instanceof Uint8Array ? publicKey : exportSpki(publicKey);
  const key = createSigningKey(privateKey, publicKeyDer);
  if (key === undefined) throw new RangeError('the key is not P-256, P-384, Ed25519 or RSA');
  return encodeRequest({ key, uri: options.id.text });
}

/** A request for one URI, signed by `key`; blocks while that signs. */
export function encodeRequest(options: {
  readonly key: SigningKey;
  readonly uri: string;
  /** A whole Name; empty unless told. */
  readonly subject?: Buffer;
}): Uint8Array {
  const { key, uri, subject = EMPTY_NAME } = options;
  const names = encodeAltNames({ uris: [uri], dns: [] }, true);
  const attribute = encodeSequence(
    encodeOid(OID.extensionRequest),
    encodeElement(TAG.set, encodeSequence(names)),
  );
  const info = encodeSequence(
    encodeUnsigned(Buffer.from([0])),
    subject,
    key.publicKeyDer,
    encodeElement(ATTRIBUTES, attribute),
  );
  return encodeSigned(info, key.algorithm, key.sign(info));
}

/**
 * Parses a request strictly: at most 8 KiB of DER with nothing behind it, a P-256 key, a signature
 * by that key, and one SPIFFE ID as its only content. SECURITY: a request that asks for anything
 * else (a CA's rights, other names) is refused rather than trimmed. Never throws.
 */
export function parseCsr(der: Uint8Array): Result<Csr, string> {
  return decodeDer(() => readRequest(der, { hasSubject: false }));
}

/** As `parseCsr`, but throws a DerError; with `hasSubject` any subject is passed over. */
export function readRequest(der: Uint8Array, may: { readonly hasSubject: boolean }): Csr {
  if (der.length > MAX_BYTES) throw new DerError(`request longer than ${MAX_BYTES} bytes`);
  const outer = new DerReader(der);
  const request = outer.enter(TAG.sequence);
  outer.finish();
  const signed = request.whole(TAG.sequence);
  const algorithm = readSignatureAlgorithm(request);
  const signature = readOctetBits(request);
  request.finish();
  const { publicKeyDer, id } = readInfo(signed, may);
  const publicKey = importPublicKey(publicKeyDer);
  if (publicKey === undefined) throw new DerError('the public key is not a point of its curve');
  const isProven =
    algorithm.keys.includes('p256') && verifySignature(algorithm, signed, signature, publicKey);
  if (!isProven) throw new DerError('the request is not signed by its own key');
  return { publicKey, publicKeyDer, id };
}

function readInfo(
  signed: Uint8Array,
  { hasSubject }: { readonly hasSubject: boolean },
): { publicKeyDer: Uint8Array; id: SpiffeId } {
  const info = new DerReader(signed).enter(TAG.sequence);
  if (readSmall(info) !== 0) throw new DerError('unknown version of a request');
  const subject = info.body(TAG.sequence);
  if (!hasSubject && subject.length > 0) throw new DerError('the request has a subject');
  // A copy, for the caller keeps the key longer than the request's bytes.
  const publicKeyDer = Uint8Array.from(info.whole(TAG.sequence));
  if (readKeyKind(publicKeyDer) !== 'p256') throw new DerError('the public key is not P-256');
  const attributes = info.enter(ATTRIBUTES);
  info.finish();
  const attribute = attributes.enter(TAG.sequence);
  attributes.finish();
  if (readOid(attribute) !== OID.extensionRequest) throw new DerError('unexpected attribute');
  const values = attribute.enter(TAG.set);
  attribute.finish();
  const id = readId(values);
  values.finish();
  return { publicKeyDer, id };
}

function readId(values: DerReader): SpiffeId {
  const { subjectAltName, unknownCritical, ...rest } = readExtensions(values);
  const asksForMore = Object.values(rest).some((value) => value !== undefined);
  if (asksForMore || unknownCritical.length > 0)
    throw new DerError('the request asks for more than a name');
  const { uris = [], dns = [], ips = [], directories = [], others } = subjectAltName ?? {};
  const uri = uris[0];
  const hasOthers = dns.length + ips.length + directories.length + (others?.size ?? 0) > 0;
  if (uri === undefined || uris.length > 1 || hasOthers) {
    throw new DerError('the request does not name exactly one SPIFFE ID');
  }
  const id = parseSpiffeId(uri);
  if (!id.ok) throw new DerError(id.error);
  return id.value;
}
