import { EVENT, type Log } from '#telemetry';
import type { EndpointRegistry } from './endpoints.ts';
import type { Enforcement } from './enforcement.ts';
import type { Store } from './store.ts';

/**
 * Stores who is connected and where, as far as it changed, so that a restart of the control plane takes away no
 * endpoint. What cannot be stored is kept for the next time.
 */
export function createPresenceSaver(options: {
  readonly store: Store;
  readonly enforcement: Enforcement;
  readonly endpoints: EndpointRegistry;
  readonly log: Log;
}): () => void {
  const { store, enforcement, endpoints, log } = options;
  let unsaved = new Set<string>();
  return () => {
    const changed = new Set([...unsaved, ...enforcement.takeChanges(), ...endpoints.takeChanges()]);
    if (changed.size === 0) return;
    const nodes = new Map(
      Array.from(changed, (node) => [
        node,
        { point: enforcement.stored(node), endpoints: endpoints.ofNode(node) },
      ]),
    );
    const saved = store.savePresence(nodes);
    unsaved = saved.ok ? new Set() : changed;
    if (!saved.ok) log.warn(EVENT.presenceNotStored, { reason: saved.error.message });
  };
}
