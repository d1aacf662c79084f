/**
 * Authored or made, without what reads the metadata of some Envoy filter (`experimental.…`): no
 * Envoy runs here, and `validate` refuses it.
 */
export function withoutEnvoyFilters(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((item) => !readsEnvoyFilter(item)).map(withoutEnvoyFilters);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withoutEnvoyFilters(item)]),
  );
}

function readsEnvoyFilter(item: unknown): boolean {
  const { key, metadata, notRule } = (item ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof key === 'string' && key.startsWith('experimental.')) return true;
  const filter = (metadata as { readonly filter?: unknown } | undefined)?.filter;
  if (filter !== undefined) return filter !== 'envoy.filters.http.jwt_authn';
  return notRule !== undefined && readsEnvoyFilter(notRule);
}
