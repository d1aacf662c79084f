import { hash } from 'node:crypto';
import { ok, type Result } from '#lib';
import { type Certificate, decodeCertificate } from './certificate.ts';

/** Remembers certificates as they were read. */
export type CertificateMemory = {
  /** As `decodeCertificate`; the same object for the same bytes as long as it is remembered. */
  readonly decode: (der: Uint8Array) => Result<Certificate, string>;
  /** For certificates that verified. SECURITY: others would push out those that come again. */
  readonly remember: (certificates: readonly Certificate[]) => void;
};

/** A memory of the last `limit` certificates, some 4 kB each: a peer shows the same one with each connection. */
export function createCertificateMemory(limit: number): CertificateMemory {
  const known = new Map<string, Certificate>();
  return {
    decode(der) {
      const found = known.get(digestOf(der));
      return found === undefined ? decodeCertificate(der) : ok(found);
    },
    remember(certificates) {
      for (const certificate of certificates) {
        const digest = digestOf(certificate.der);
        if (known.has(digest)) continue;
        // SECURITY: of a copy: who gave us the bytes may write others into the same memory.
        const copy = Buffer.allocUnsafeSlow(certificate.der.length);
        copy.set(certificate.der);
        const own = decodeCertificate(copy);
        if (!own.ok) continue;
        const [oldest] = known.keys();
        if (known.size >= limit && oldest !== undefined) known.delete(oldest);
        known.set(digest, own.value);
      }
    },
  };
}

function digestOf(der: Uint8Array): string {
  return hash('sha256', der, 'base64');
}
