import type { Result } from '#lib';
import { DerError, DerReader, decodeDer, TAG } from './der-read.ts';
import { readOctetBits, readSmall, readTime, readUnsigned } from './der-values.ts';
import { type Extensions, readExtensions } from './extensions.ts';
import {
  type KeyKind,
  readKeyKind,
  readSignatureAlgorithm,
  type SignatureAlgorithm,
} from './public-key.ts';

/** The parts of an X.509 v3 certificate that path validation looks at; bytes are views of `der`. */
export type Certificate = {
  readonly der: Uint8Array;
  /** What the signature covers. */
  readonly tbs: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
  /** Lower-case hex without leading zeros, as in logs and revocations. */
  readonly serial: string;
  /** Whole Name elements, compared byte for byte (RFC 5280 section 7.1 lets issuers rely on it). */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly notBefore: number;
  readonly expiresAt: number;
  /** Whole SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly keyKind: KeyKind;
  readonly extensions: Extensions;
};

// SECURITY: a peer sends these before it is known; real SVIDs take less than 2 KiB.
const MAX_BYTES = 16 * 1024;

/** Decodes a certificate (RFC 5280 section 4.1) as strict DER with nothing behind it; never throws. */
export function decodeCertificate(der: Uint8Array): Result<Certificate, string> {
  return decodeDer(() => {
    if (der.length > MAX_BYTES) throw new DerError(`certificate longer than ${MAX_BYTES} bytes`);
    return readCertificate(der);
  });
}

function readCertificate(der: Uint8Array): Certificate {
  const outer = new DerReader(der);
  const certificate = outer.enter(TAG.sequence);
  outer.finish();
  const tbs = certificate.whole(TAG.sequence);
  const signatureAlgorithm = readSignatureAlgorithm(certificate);
  const signature = readOctetBits(certificate);
  certificate.finish();
  const fields = readTbs(tbs);
  // RFC 5280 4.1.1.2: both places name the same algorithm; the inner one alone is signed.
  if (fields.inner.oid !== signatureAlgorithm.oid) throw new DerError('two signature algorithms');
  const { inner: _, ...rest } = fields;
  return { der, tbs, signatureAlgorithm, signature, ...rest };
}

function readTbs(bytes: Uint8Array) {
  const tbs = new DerReader(bytes).enter(TAG.sequence);
  if (!tbs.has(0xa0)) throw new DerError('not an X.509 v3 certificate');
  const version = tbs.enter(0xa0);
  if (readSmall(version) !== 2) throw new DerError('not an X.509 v3 certificate');
  version.finish();
  // RFC 5280 4.1.2.2: positive and at most 20 octets.
  const serial = readUnsigned(tbs, 20);
  if (serial.length === 0) throw new DerError('serial number zero');
  const inner = readSignatureAlgorithm(tbs);
  const issuer = tbs.whole(TAG.sequence);
  // RFC 5280 4.1.2.4: issuers have a name, else any nameless certificate could claim to be one.
  if (issuer.length === 2) throw new DerError('the issuer has no name');
  const validity = tbs.enter(TAG.sequence);
  const notBefore = readTime(validity);
  const expiresAt = readTime(validity);
  validity.finish();
  const subject = tbs.whole(TAG.sequence);
  const spki = tbs.whole(TAG.sequence);
  const wrapper = tbs.enter(0xa3);
  const extensions = readExtensions(wrapper);
  wrapper.finish();
  tbs.finish();
  return {
    inner,
    serial: serial.toString('hex'),
    issuer,
    subject,
    notBefore,
    expiresAt,
    spki,
    keyKind: readKeyKind(spki),
    extensions,
  };
}
