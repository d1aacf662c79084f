import { readFileSync } from 'node:fs';
import { type Bundle, derToPem, parseBundle, parseTrustDomain } from '#identity';
import { decodeEnvelope, openTrustRoot, type TrustRoot } from '#trust';
import type { CaSecrets } from './initialize.ts';
import type { Policy } from './policy.ts';

/** The roots of the trust root now, in the forms their users want; the same objects until it changes. */
export function createRoots(policy: Policy) {
  const compute = (root: TrustRoot) => {
    const der = [...new Set(root.x509Roots)].map((text) => Buffer.from(text, 'base64'));
    const pem = der.map((bytes) => derToPem(bytes));
    return { root, der, pem, bundle: bundleOf(root.trustDomain, pem) };
  };
  let held = compute(policy.trustRoot());
  const current = () => {
    const root = policy.trustRoot();
    if (root !== held.root) held = compute(root);
    return held;
  };
  return { der: () => current().der, pem: () => current().pem, bundle: () => current().bundle };
}

function bundleOf(trustDomain: string, rootsPem: readonly string[]): Bundle {
  const name = parseTrustDomain(trustDomain);
  if (!name.ok) throw new Error(name.error);
  const bundle = parseBundle(name.value, rootsPem.join('\n'));
  if (!bundle.ok) throw new Error(`the trust root: ${bundle.error}`);
  return bundle.value;
}

/** The trust root in a file, if it is of this trust domain and names this authority; throws, saying what is wrong. */
export function readTrustRoot(
  path: string,
  trustDomain: string,
  { logSigner }: CaSecrets,
): TrustRoot {
  const envelope = decodeEnvelope(readFileSync(path));
  const root = envelope.ok ? openTrustRoot(envelope.value) : envelope;
  if (!root.ok) throw new Error(`\`${path}\`: ${root.error.message}`);
  const { value } = root;
  if (value.trustDomain !== trustDomain) {
    throw new Error(`\`${path}\` is of trust domain \`${value.trustDomain}\``);
  }
  if (value.issuanceLogKey !== logSigner.publicKey) {
    throw new Error(`\`${path}\` does not name this authority's log key`);
  }
  return value;
}
