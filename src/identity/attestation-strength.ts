/** How well what an identity stands on was checked, weakest first; the words and order are Palisade's own. */
export const ATTESTATION_STRENGTHS = ['none', 'token', 'process', 'kubernetes', 'tpm'] as const;

/**
 * `none`: nothing. `token`: somebody held a secret. `process`: the kernel vouched for the process. `kubernetes`: the
 * cluster did. `tpm`: the host proved itself by hardware.
 */
export type AttestationStrength = (typeof ATTESTATION_STRENGTHS)[number];

/** The strongest of some; `none` of nothing. */
export function strongest(strengths: readonly AttestationStrength[]): AttestationStrength {
  const rank = Math.max(0, ...strengths.map((each) => ATTESTATION_STRENGTHS.indexOf(each)));
  return ATTESTATION_STRENGTHS[rank] ?? 'none';
}

/** Whether `text` names a strength. */
export function isAttestationStrength(text: string): text is AttestationStrength {
  return (ATTESTATION_STRENGTHS as readonly string[]).includes(text);
}

/** The rank of a strength, higher being stronger; -1 for a word that is none. */
export function attestationRank(text: string): number {
  return (ATTESTATION_STRENGTHS as readonly string[]).indexOf(text);
}
