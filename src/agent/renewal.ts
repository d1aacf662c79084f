/**
 * When to renew a certificate: at half of its life, give or take a tenth, so that what was issued together is not
 * renewed together. Unix milliseconds; `random` is in [0, 1).
 */
export function renewalTime(
  certificate: { readonly notBefore: number; readonly expiresAt: number },
  random: () => number,
): number {
  const life = certificate.expiresAt - certificate.notBefore;
  return certificate.notBefore + life * (0.4 + 0.2 * random());
}
