/** What of a Registration decides whether it is for a process. */
export type Selectable = { readonly spec: { readonly selectors: readonly string[] } };

/**
 * The registrations for a process with the attested `selectors`: those whose every selector is among them.
 * SECURITY: a registration without selectors is for nobody, or it would be for everybody.
 */
export function matchRegistrations<T extends Selectable>(
  selectors: readonly string[],
  registrations: readonly T[],
): T[] {
  const attested = new Set(selectors);
  return registrations.filter(
    ({ spec }) =>
      spec.selectors.length > 0 && spec.selectors.every((selector) => attested.has(selector)),
  );
}
