import { BACKDATE_MS } from '#identity';

/**
 * When to renew a certificate: at half of its life, give or take a tenth, so that what was issued together is not
 * renewed together. Unix milliseconds; `random` is in [0, 1).
 */
export function renewalTime(
  certificate: { readonly notBefore: number; readonly expiresAt: number },
  random: () => number,
): number {
  // Issuers date back; of a certificate of seconds that minute would be all of its life, and it renewed without end.
  const issuedAt = Math.min(certificate.notBefore + BACKDATE_MS, certificate.expiresAt);
  const life = certificate.expiresAt - issuedAt;
  return issuedAt + life * (0.4 + 0.2 * random());
}
