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
  return registrations.filter((registration) => isMatch(registration, attested));
}

/**
 * The same for many questions about the same registrations: a question costs what may match, not what there is. Each is
 * found by the selector that it shares with the fewest others.
 */
export function indexRegistrations<T extends Selectable>(
  registrations: readonly T[],
): (selectors: readonly string[]) => T[] {
  const uses = new Map<string, number>();
  for (const { spec } of registrations) {
    for (const selector of spec.selectors) uses.set(selector, (uses.get(selector) ?? 0) + 1);
  }
  const order = new Map(registrations.map((registration, at) => [registration, at]));
  const indexed = Map.groupBy(registrations, ({ spec }) => rarest(spec.selectors, uses));
  return (selectors) => {
    const attested = new Set(selectors);
    const found = Array.from(attested, (selector) => indexed.get(selector) ?? [])
      .flat()
      .filter((registration) => isMatch(registration, attested));
    return found.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
  };
}

function isMatch({ spec }: Selectable, attested: ReadonlySet<string>): boolean {
  return spec.selectors.length > 0 && spec.selectors.every((selector) => attested.has(selector));
}

function rarest(selectors: readonly string[], uses: ReadonlyMap<string, number>) {
  const usesOf = (selector: string) => uses.get(selector) ?? 0;
  return selectors.reduce<string | undefined>(
    (best, next) => (best === undefined || usesOf(next) < usesOf(best) ? next : best),
    undefined,
  );
}
