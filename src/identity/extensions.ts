import { type AttestationStrength, isAttestationStrength } from './attestation-strength.ts';
import { DerError, DerReader, TAG } from './der-read.ts';
import { readBoolean, readNamedBits, readOid, readSmall } from './der-values.ts';
import { type GeneralNames, NO_NAMES, readGeneralNames } from './general-names.ts';
import { OID } from './oid.ts';

/** Bits of KeyUsage (RFC 5280 section 4.2.1.3). */
export const KEY_USAGE = {
  digitalSignature: 1,
  keyEncipherment: 1 << 2,
  keyCertSign: 1 << 5,
  cRLSign: 1 << 6,
} as const;

/** NameConstraints (RFC 5280 section 4.2.1.10). */
export type NameConstraints = { readonly permitted: GeneralNames; readonly excluded: GeneralNames };

/** What a certificate's extensions say; absent ones are undefined, unread ones are in `unknown`. */
export type Extensions = {
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number } | undefined;
  readonly keyUsage: number | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectAltName: GeneralNames | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyId: string | undefined;
  readonly authorityKeyId: string | undefined;
  /** What the issuer says the identity stands on; undefined where it says nothing, or a word unknown here. */
  readonly attestation: AttestationStrength | undefined;
  /** `requesterTag` of whoever asked for the certificate, lower-case hex. */
  readonly requester: string | undefined;
  /** Critical extensions that nobody here processes; a path through such a certificate is refused. */
  readonly unknownCritical: readonly string[];
};

type Mutable = { -readonly [K in keyof Extensions]: Extensions[K] };

/** A certificate without extensions. */
const NO_EXTENSIONS: Extensions = {
  basicConstraints: undefined,
  keyUsage: undefined,
  extendedKeyUsage: undefined,
  subjectAltName: undefined,
  nameConstraints: undefined,
  subjectKeyId: undefined,
  authorityKeyId: undefined,
  attestation: undefined,
  requester: undefined,
  unknownCritical: [],
};

// Bounds the work of the duplicate check below; real certificates have about ten.
const MAX_EXTENSIONS = 64;

// RFC 5280 demands that the key identifiers are not critical, so a critical one counts as unknown.
const MAY_BE_CRITICAL: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAltName,
  OID.nameConstraints,
]);

/** Reads a SEQUENCE OF Extension; the same extension twice is refused (RFC 5280 section 4.2). */
export function readExtensions(reader: DerReader): Extensions {
  const list = reader.enter(TAG.sequence);
  const seen = new Set<string>();
  const unknownCritical: string[] = [];
  const found: Mutable = { ...NO_EXTENSIONS, unknownCritical };
  while (!list.atEnd()) {
    const extension = list.enter(TAG.sequence);
    const oid = readOid(extension);
    const critical = extension.has(TAG.boolean) && readBoolean(extension);
    const value = new DerReader(extension.body(TAG.octetString));
    extension.finish();
    if (seen.has(oid)) throw new DerError('the same extension twice');
    if (seen.size >= MAX_EXTENSIONS) throw new DerError('too many extensions');
    seen.add(oid);
    const known = readValue(oid, value, found);
    if (critical && !(known && MAY_BE_CRITICAL.has(oid))) unknownCritical.push(oid);
  }
  return found;
}

function readValue(oid: string, value: DerReader, found: Mutable): boolean {
  if (oid === OID.basicConstraints) found.basicConstraints = readBasicConstraints(value);
  else if (oid === OID.keyUsage) found.keyUsage = readNamedBits(value);
  else if (oid === OID.extendedKeyUsage) found.extendedKeyUsage = readPurposes(value);
  else if (oid === OID.subjectAltName) found.subjectAltName = readAltNames(value);
  else if (oid === OID.nameConstraints) found.nameConstraints = readNameConstraints(value);
  else if (oid === OID.subjectKeyIdentifier) {
    found.subjectKeyId = value.body(TAG.octetString).toString('hex');
  } else if (oid === OID.authorityKeyIdentifier) found.authorityKeyId = readAuthorityKeyId(value);
  else if (oid === OID.attestationStrength) found.attestation = readStrength(value);
  else if (oid === OID.requester) found.requester = value.body(TAG.octetString).toString('hex');
  else return false;
  value.finish();
  return true;
}

function readBasicConstraints(value: DerReader): { ca: boolean; pathLength: number } {
  const sequence = value.enter(TAG.sequence);
  const ca = sequence.has(TAG.boolean) && readBoolean(sequence);
  const pathLength = sequence.has(TAG.integer) ? readSmall(sequence) : Number.POSITIVE_INFINITY;
  sequence.finish();
  if (!ca && pathLength !== Number.POSITIVE_INFINITY) throw new DerError('path length without CA');
  return { ca, pathLength };
}

function readPurposes(value: DerReader): string[] {
  const sequence = value.enter(TAG.sequence);
  const purposes: string[] = [];
  while (!sequence.atEnd()) purposes.push(readOid(sequence));
  if (purposes.length === 0) throw new DerError('empty extended key usage');
  return purposes;
}

function readAltNames(value: DerReader): GeneralNames {
  const sequence = value.enter(TAG.sequence);
  if (sequence.atEnd()) throw new DerError('empty subject alternative name');
  return readGeneralNames(sequence);
}

function readNameConstraints(value: DerReader): NameConstraints {
  const sequence = value.enter(TAG.sequence);
  if (sequence.atEnd()) throw new DerError('empty name constraints');
  const permitted = readSubtrees(sequence, 0xa0);
  const excluded = readSubtrees(sequence, 0xa1);
  sequence.finish();
  return { permitted, excluded };
}

function readSubtrees(sequence: DerReader, tag: number): GeneralNames {
  if (!sequence.has(tag)) return NO_NAMES;
  const list = sequence.enter(tag);
  if (list.atEnd()) throw new DerError('empty subtrees');
  // RFC 5280 4.2.1.10: minimum is zero, that is absent, and there is no maximum: the name alone
  // fills its subtree, which `readGeneralNames` checks.
  return readGeneralNames(list, (reader) => reader.enter(TAG.sequence));
}

function readAuthorityKeyId(value: DerReader): string | undefined {
  const sequence = value.enter(TAG.sequence);
  const keyId = sequence.has(0x80) ? sequence.body(0x80).toString('hex') : undefined;
  // The issuer's name and serial number may follow; the path is built without them.
  for (const tag of [0xa1, 0x82]) if (sequence.has(tag)) sequence.body(tag);
  sequence.finish();
  return keyId;
}

function readStrength(value: DerReader): AttestationStrength | undefined {
  const word = value.body(TAG.utf8String).toString('latin1');
  // A later version may know stronger ones; here they count as nothing said.
  return isAttestationStrength(word) ? word : undefined;
}
