import { useSyncExternalStore } from 'react';

/** Whether anyone can see the page: false in a background tab. */
export function useVisible(): boolean {
  return useSyncExternalStore(watch, () => !document.hidden);
}

function watch(listener: () => void): () => void {
  document.addEventListener('visibilitychange', listener);
  return () => document.removeEventListener('visibilitychange', listener);
}
