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

/**
 * A name of the API, `namespace/name`, as the given caller would say it; other text stays as
 * it is. The API calls a caller without an identity `unknown`.
 */
export function plainName(name: string, callerId: string | null): string {
  const match = /^([^/]+)\/([^/]+)$/.exec(name);
  if (match === null) {
    if (name === 'unknown' && callerId === null) return NO_IDENTITY;
    return name.startsWith('spiffe://') ? shortName(name) : name;
  }
  const [, namespace = '', plain = ''] = match;
  return nameBeside(plain, namespace, callerId);
}

/** A service as its caller would name it: with the namespace only where theirs is another. */
export function nameBeside(
  name: string,
  namespace: string | null,
  callerId: string | null,
): string {
  const own = spiffeParts(callerId)?.namespace;
  const isNear = namespace === null || own === undefined || own === namespace;
  return isNear ? name : qualifiedName(name, namespace);
}

/** A name with its namespace where that is not the reader's default, e.g. `redis.cache`. */
export function qualifiedName(name: string, namespace: string | undefined): string {
  return namespace === undefined || namespace === '' || namespace === 'default'
    ? name
    : `${name}.${namespace}`;
}
