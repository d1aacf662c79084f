import { admitSession } from './admit.ts';
import type { ReachedPeer } from './dial.ts';
import type { EndpointState } from './endpoint-group.ts';
import type { Failure } from './respond.ts';
import type { ServiceConnector } from './route.ts';

/** A server for a TCP session, or why there is none. */
export type SessionReach =
  | {
      readonly kind: 'connected';
      readonly reached: ReachedPeer;
      /** Gives back what the session took of its service; to be called when it is over. */
      readonly release: () => void;
    }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Failures of our own that another endpoint would not mend. */
const OURS = new Set(['peer_unauthenticated', 'cannot_decide']);

/**
 * Connects a session to an endpoint of its service; to another one where that fails, as often as the
 * Service's retries say, since not a byte has been sent by then. Calls back once.
 */
export function reachForSession(
  connector: ServiceConnector,
  done: (outcome: SessionReach) => void,
): void {
  const { group } = connector;
  const refused = admitSession(group);
  if (refused !== undefined) return done({ kind: 'failed', failure: refused });
  const tried: EndpointState[] = [];
  const fail = (failure: Failure): void => {
    group.slots.release();
    done({ kind: 'failed', failure });
  };
  const attempt = (endpoint: EndpointState): void => {
    tried.push(endpoint);
    endpoint.active++;
    connector.reach(endpoint.endpoint, (dialed) => {
      if (dialed.kind === 'connected') {
        group.report(endpoint, 'ok');
        const release = (): void => {
          endpoint.active--;
          group.slots.release();
        };
        return done({ kind: 'connected', reached: dialed, release });
      }
      endpoint.active--;
      if (OURS.has(dialed.failure.kind)) return fail(dialed.failure);
      group.report(endpoint, 'connect_failed');
      const next = connector.choose(tried);
      if (next === undefined || tried.includes(next) || !mayRetry()) return fail(dialed.failure);
      attempt(next);
    });
  };
  const mayRetry = (): boolean => {
    const { attempts, on } = group.traffic.retries;
    return tried.length <= attempts && on.has('connect-failure');
  };
  const first = connector.choose(tried);
  if (first === undefined) return fail({ kind: 'no_healthy_endpoint' });
  attempt(first);
}
