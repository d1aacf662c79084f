import { useCallback, useMemo, useSyncExternalStore } from 'react';
import { patchQuery } from './query.ts';

const listeners = new Set<() => void>();

/** Goes to an address of this console; `replace` leaves no entry to go back to. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === window.location.pathname + window.location.search) return;
  if (options.replace === true) window.history.replaceState(null, '', to);
  else window.history.pushState(null, '', to);
  for (const listener of listeners) listener();
}

/** The path of the address, without its query. */
export function usePath(): string {
  return useSyncExternalStore(watch, () => window.location.pathname);
}

/** The query, and a function that changes keys of it in place. */
export function useQuery(): [
  URLSearchParams,
  (patch: Readonly<Record<string, string | undefined>>) => void,
] {
  const search = useSyncExternalStore(watch, () => window.location.search);
  const params = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback((patch: Readonly<Record<string, string | undefined>>) => {
    const next = patchQuery(window.location.search, patch);
    navigate(`${window.location.pathname}${next}`, { replace: true });
  }, []);
  return [params, change];
}

function watch(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('popstate', listener);
  };
}
