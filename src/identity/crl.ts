import { decodeCertificate } from './certificate.ts';
import {
  encodeAuthorityKeyId,
  encodeExtension,
  encodeSigned,
  keyIdOf,
} from './certificate-fields.ts';
import { encodeElement, encodeSequence, encodeTime, encodeUnsigned } from './der-write.ts';
import type { Issuer } from './issue.ts';
import { OID } from './oid.ts';

/** What a revocation list says; times in ms since 1970, cut to seconds. */
export type CrlFields = {
  readonly issuer: Issuer;
  /** Growing with each list. */
  readonly number: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly serials: readonly RevokedSerial[];
};

/** A certificate that counts no more: its serial number in lower-case hex, and since when, in ms since 1970. */
export type RevokedSerial = { readonly serial: string; readonly revokedAt: number };

/** Signs a version 2 certificate revocation list (RFC 5280 section 5.1), DER. Rejects where the issuer cannot sign. */
export async function issueCrl(fields: CrlFields): Promise<Uint8Array> {
  const { issuer, number, thisUpdate, nextUpdate, serials } = fields;
  const certificate = decodeCertificate(issuer.certificateDer);
  const { key } = issuer;
  if (!certificate.ok) throw new RangeError(`the issuer's certificate: ${certificate.error}`);
  const at = encodeTime(thisUpdate);
  const revoked = serials.map(({ serial, revokedAt }) =>
    encodeSequence(encodeUnsigned(Buffer.from(serial, 'hex')), encodeTime(revokedAt)),
  );
  const extensions = [
    encodeAuthorityKeyId(keyIdOf(certificate.value.spki)),
    encodeExtension(OID.crlNumber, encodeUnsigned(numberBytes(number))),
  ];
  const tbs = encodeSequence(
    encodeUnsigned(Buffer.from([1])),
    key.algorithm,
    certificate.value.subject,
    at,
    encodeTime(nextUpdate),
    // RFC 5280 5.1.2.6: absent where nothing is revoked.
    ...(revoked.length === 0 ? [] : [encodeSequence(...revoked)]),
    encodeElement(0xa0, encodeSequence(...extensions)),
  );
  const signature = key.signLater === undefined ? key.sign(tbs) : await key.signLater(tbs);
  return encodeSigned(tbs, key.algorithm, signature);
}

function numberBytes(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}
