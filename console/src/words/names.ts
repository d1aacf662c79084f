/** Names as people typed them; the SPIFFE ID behind a name is shown on demand. */

/** What a caller without a proven identity is called. */
export const NO_IDENTITY = 'no identity';

/** The parts of an identity in Istio's form, or undefined for any other SPIFFE ID. */
export function spiffeParts(
  id: string | null | undefined,
): { trustDomain: string; namespace: string; account: string } | undefined {
  const match = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id ?? '');
  if (match === null) return undefined;
  const [, trustDomain = '', namespace = '', account = ''] = match;
  return { trustDomain, namespace, account };
}

/** The short name of an identity: its account, or its path where it is of another form. */
export function shortName(id: string | null | undefined, service?: string | null): string {
  if (service !== undefined && service !== null && service !== '') return service;
  if (id === undefined || id === null || id === '') return NO_IDENTITY;
  const parts = spiffeParts(id);
  if (parts !== undefined) return parts.account;
  return id.replace(/^spiffe:\/\/[^/]+\//, '');
}

/** A name with its namespace where that is not the reader's default, e.g. `redis.cache`. */
export function qualifiedName(name: string, namespace: string | undefined): string {
  return namespace === undefined || namespace === '' || namespace === 'default'
    ? name
    : `${name}.${namespace}`;
}
