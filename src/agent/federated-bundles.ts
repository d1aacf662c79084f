import { type Bundle, bundlePem, derToPem, parseBundle, parseTrustDomain } from '#identity';

/** Foreign roots as the agent sends them: concatenated DER by the SPIFFE ID of the trust domain. */
export type SentBundles = Readonly<Record<string, Uint8Array>>;

/**
 * Those of the agent's foreign bundles that policy names. SECURITY: policy verified here says which trust domains are
 * believed; an agent could otherwise bring in one of its own. INVARIANT: none of them is for our own trust domain.
 */
export function federatedBundles(
  sent: SentBundles,
  allowed: readonly string[],
  own: string,
): readonly Bundle[] {
  return allowed.flatMap((name) => {
    const trustDomain = parseTrustDomain(name);
    const der = sent[`spiffe://${name}`];
    if (!trustDomain.ok || der === undefined || name === own) return [];
    const pem = splitCertificates(der)?.map((each) => derToPem(each)) ?? [];
    const bundle = parseBundle(trustDomain.value, pem.join(''));
    return bundle.ok ? [bundle.value] : [];
  });
}

/** Bundles as they are sent, to be kept on disk. */
export function storedBundles(bundles: readonly Bundle[]): Record<string, string> {
  return Object.fromEntries(bundles.map((each) => [each.trustDomain, bundlePem(each)]));
}

/** Reads back what `storedBundles` made, within what policy names now. */
export function readStoredBundles(
  stored: unknown,
  allowed: readonly string[],
  own: string,
): readonly Bundle[] {
  if (typeof stored !== 'object' || stored === null) return [];
  return allowed.flatMap((name) => {
    const trustDomain = parseTrustDomain(name);
    const pem = (stored as Record<string, unknown>)[name];
    if (!trustDomain.ok || typeof pem !== 'string' || name === own) return [];
    const bundle = parseBundle(trustDomain.value, pem);
    return bundle.ok ? [bundle.value] : [];
  });
}

/** Splits concatenated DER certificates by their outer lengths (SPIFFE Workload API 5.2.1). */
export function splitCertificates(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  const certificates: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = derLength(bytes.subarray(at));
    if (length === undefined || at + length > bytes.length) return undefined;
    certificates.push(bytes.subarray(at, at + length));
    at += length;
  }
  return certificates;
}

/** The whole length of the SEQUENCE that `bytes` begins with; certificates take two or three length bytes. */
function derLength(bytes: Uint8Array): number | undefined {
  const [tag, first = 0, second = 0, third = 0] = bytes;
  if (tag !== 0x30) return undefined;
  if (first < 0x80) return 2 + first;
  if (first === 0x81) return 3 + second;
  if (first === 0x82) return 4 + second * 256 + third;
  return undefined;
}
