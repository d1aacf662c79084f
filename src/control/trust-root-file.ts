import { readFileSync } from 'node:fs';
import { type Bundle, derToPem, parseBundle, parseTrustDomain, type TrustDomain } from '#identity';
import { type DsseEnvelope, decodeEnvelope, openTrustRoot, type TrustRoot } from '#trust';

/** The pinned trust root and what follows from it. */
export type PinnedRoot = {
  readonly root: TrustRoot;
  readonly envelope: DsseEnvelope;
  readonly trustDomain: TrustDomain;
  readonly bundle: Bundle;
};

/** Reads the trust root's envelope; throws, naming the file, if it is not one of `trustDomain`. */
export function readTrustRootFile(path: string, trustDomain: string): PinnedRoot {
  const envelope = decodeEnvelope(readFileSync(path));
  const root = envelope.ok ? openTrustRoot(envelope.value) : envelope;
  if (!envelope.ok || !root.ok) {
    const message = root.ok ? 'not an envelope' : root.error.message;
    throw new Error(`\`${path}\` is not a trust root: ${message}`);
  }
  if (root.value.trustDomain !== trustDomain) {
    throw new Error(
      `\`${path}\` is of trust domain \`${root.value.trustDomain}\`, not \`${trustDomain}\``,
    );
  }
  const domain = parseTrustDomain(trustDomain);
  if (!domain.ok) throw new Error(domain.error);
  const pem = root.value.x509Roots.map((text) => derToPem(Buffer.from(text, 'base64'))).join('');
  const bundle = parseBundle(domain.value, pem);
  if (!bundle.ok) throw new Error(`\`${path}\`: ${bundle.error}`);
  return {
    root: root.value,
    envelope: envelope.value,
    trustDomain: domain.value,
    bundle: bundle.value,
  };
}
