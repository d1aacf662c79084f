import type { ApiClient } from '#client';
import { KINDS } from '#resource';

type Call = Pick<ApiClient, 'call'>;
type Items<T> = { readonly items: readonly T[] };

/** Whoever presses Tab waits for this; a control plane that takes longer has no names. */
const TIMEOUT_MS = 250;
const MAX_NAMES = 500;
// SECURITY: shells expand what they are offered; a name with anything else in it is not offered.
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,300}$/;

/** The names of one sort that the control plane knows; none where it does not answer, or in time. Never rejects. */
export async function completedNames(api: Call, of: string): Promise<readonly string[]> {
  try {
    const found = await ask(api, of);
    return [...new Set(found)].filter((name) => PLAIN.test(name)).slice(0, MAX_NAMES);
  } catch {
    // No word about it: it would stand in the middle of a line that somebody types.
    return [];
  }
}

async function ask(api: Call, of: string): Promise<readonly string[]> {
  const items = async <T>(path: string) =>
    (await api.call<Items<T>>('GET', path, { timeoutMs: TIMEOUT_MS })).items;
  const resources = (kind: string) =>
    items<{ readonly name: string; readonly namespace: string }>(
      `/resources?kind=${kind}&limit=${MAX_NAMES}`,
    );
  switch (of) {
    case 'services': {
      const named = await resources('Service');
      return named.map(({ name, namespace }) =>
        namespace === 'default' ? name : `${name}.${namespace}`,
      );
    }
    case 'identities': {
      const path = `/identities?current=true&limit=${MAX_NAMES}`;
      return (await items<{ readonly spiffeId: string }>(path)).map(({ spiffeId }) => spiffeId);
    }
    case 'namespaces':
      return (await items<{ readonly namespace: string }>('/policy-sets')).map(
        ({ namespace }) => namespace,
      );
    case 'sinks':
      return (await items<{ readonly name: string }>('/sinks')).map(({ name }) => name);
    case 'denials': {
      const recorded = await items<{ readonly denial_id?: string | null }>(
        '/records?denied=true&limit=50',
      );
      return recorded.flatMap(({ denial_id: id }) => (id ? [id] : []));
    }
    default: {
      const kind = KINDS.find((known) => `resources/${known.toLowerCase()}` === of);
      return kind === undefined ? [] : (await resources(kind)).map(({ name }) => name);
    }
  }
}
