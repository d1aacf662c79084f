/** How strongly a caller's process was attested, the weakest first. */
export const STRENGTHS = ['none', 'token', 'process', 'kubernetes', 'tpm'] as const;

/** The rank of a strength, higher being stronger; -1 for a word that is none. */
export function strengthRank(text: string): number {
  return (STRENGTHS as readonly string[]).indexOf(text);
}
