import { hash } from 'node:crypto';
import type { AttestationStrength } from './attestation-strength.ts';
import { TAG } from './der-read.ts';
import {
  encodeElement,
  encodeOctetBits,
  encodeOid,
  encodeSequence,
  encodeTime,
  encodeUnsigned,
  TRUE,
} from './der-write.ts';
import { NAME_TAG } from './general-names.ts';
import { OID } from './oid.ts';

/** A Name without attributes, as SVIDs have it: their name is the URI. */
export const EMPTY_NAME: Buffer = encodeSequence();

/** basicConstraints of a leaf: CA is FALSE, which DER writes as nothing. */
export const LEAF_CONSTRAINTS: Buffer = encodeExtension(
  OID.basicConstraints,
  encodeSequence(),
  true,
);

/** keyUsage of a leaf: digitalSignature alone (X509-SVID section 4.3). */
export const LEAF_KEY_USAGE: Buffer = encodeExtension(
  OID.keyUsage,
  Buffer.from('03020780', 'hex'),
  true,
);

/** keyUsage of an authority: keyCertSign and cRLSign. */
export const CA_KEY_USAGE: Buffer = encodeExtension(
  OID.keyUsage,
  Buffer.from('03020106', 'hex'),
  true,
);

/** The names of a certificate or request. */
export type AltNames = { readonly uris: readonly string[]; readonly dns: readonly string[] };

/** One Extension around the DER of its value. */
export function encodeExtension(oid: string, value: Uint8Array, critical = false): Buffer {
  const flag = critical ? [TRUE] : [];
  return encodeSequence(encodeOid(oid), ...flag, encodeElement(TAG.octetString, value));
}

/** subjectAltName; critical where the subject is empty (RFC 5280 section 4.2.1.6). */
export function encodeAltNames(names: AltNames, critical: boolean): Buffer {
  const entries = [
    ...names.uris.map((uri) => encodeElement(NAME_TAG.uri, asciiBytes(uri))),
    ...names.dns.map((name) => encodeElement(NAME_TAG.dns, asciiBytes(name))),
  ];
  return encodeExtension(OID.subjectAltName, encodeSequence(...entries), critical);
}

/** extendedKeyUsage. */
export function encodePurposes(...oids: readonly string[]): Buffer {
  return encodeExtension(OID.extendedKeyUsage, encodeSequence(...oids.map(encodeOid)));
}

/** basicConstraints of an authority that may have `pathLength` authorities below it. */
export function encodeCaConstraints(pathLength: number): Buffer {
  const value = encodeSequence(TRUE, encodeUnsigned(Buffer.from([pathLength])));
  return encodeExtension(OID.basicConstraints, value, true);
}

/** nameConstraints of an authority for the SPIFFE IDs of one trust domain; critical (RFC 5280 section 4.2.1.10). */
export function encodeUriConstraint(host: string): Buffer {
  const subtree = encodeSequence(encodeElement(NAME_TAG.uri, asciiBytes(host)));
  return encodeExtension(OID.nameConstraints, encodeSequence(encodeElement(0xa0, subtree)), true);
}

/** A key's identifier: 160 bits of its SHA-256 (RFC 7093 section 2, method 4). */
export function keyIdOf(spki: Uint8Array): Buffer {
  return hash('sha256', spki, 'buffer').subarray(0, 20);
}

/** How well the identity was attested: a UTF8String; not critical, since others' verifiers do not know it. */
export function encodeStrength(strength: AttestationStrength): Buffer {
  const value = encodeElement(TAG.utf8String, asciiBytes(strength));
  return encodeExtension(OID.attestationStrength, value);
}

/** subjectKeyIdentifier. */
export function encodeSubjectKeyId(keyId: Uint8Array): Buffer {
  return encodeExtension(OID.subjectKeyIdentifier, encodeElement(TAG.octetString, keyId));
}

/** authorityKeyIdentifier. */
export function encodeAuthorityKeyId(keyId: Uint8Array): Buffer {
  return encodeExtension(OID.authorityKeyIdentifier, encodeSequence(encodeElement(0x80, keyId)));
}

/** Our own extension: who asked for the certificate, as `requesterTag` says it in hex. Not critical. */
export function encodeRequester(tag: string): Buffer {
  return encodeExtension(OID.requester, encodeElement(TAG.octetString, Buffer.from(tag, 'hex')));
}

/** A Name of one commonName, cut to the 64 characters that RFC 5280 allows. */
export function encodeCommonName(text: string): Buffer {
  const value = encodeElement(TAG.utf8String, Buffer.from([...text].slice(0, 64).join(''), 'utf8'));
  return encodeSequence(encodeElement(TAG.set, encodeSequence(encodeOid(OID.commonName), value)));
}

/** What a certificate says, each part as DER except the serial number and the times. */
export type CertificateFields = {
  /** Big-endian, positive. */
  readonly serial: Uint8Array;
  readonly signatureAlgorithm: Uint8Array;
  readonly issuer: Uint8Array;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly extensions: readonly Uint8Array[];
};

const VERSION_3 = Buffer.from('a003020102', 'hex');

/** A TBSCertificate (RFC 5280 section 4.1). */
export function encodeTbs(fields: CertificateFields): Buffer {
  return encodeSequence(
    VERSION_3,
    encodeUnsigned(fields.serial),
    fields.signatureAlgorithm,
    fields.issuer,
    encodeSequence(encodeTime(fields.notBefore), encodeTime(fields.expiresAt)),
    fields.subject,
    fields.spki,
    encodeElement(0xa3, encodeSequence(...fields.extensions)),
  );
}

/** What is signed, by which algorithm, and the signature: the frame of certificates and requests. */
export function encodeSigned(
  signed: Uint8Array,
  algorithm: Uint8Array,
  signature: Uint8Array,
): Buffer {
  return encodeSequence(signed, algorithm, encodeOctetBits(signature));
}

function asciiBytes(text: string): Buffer {
  // SECURITY: the DNS names come from registrations; a NUL or an umlaut would be read differently
  // by different verifiers, so it is never signed.
  if (!/^[\x21-\x7e]+$/.test(text)) throw new RangeError('a name must be printable ASCII');
  return Buffer.from(text, 'latin1');
}
