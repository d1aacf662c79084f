import type { EndpointGroup, EndpointState } from './endpoint-group.ts';
import type { H2Reach } from './h2-pool.ts';
import type { Failure } from './respond.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** How a call finds the connection that answers it. */
export type Connector = {
  /** The endpoints there are, with what this proxy bears of them; shared by all ways to them. */
  readonly group: EndpointGroup;
  /** An endpoint for one try, others than those `tried` if there are; undefined if none is healthy. */
  readonly choose: (tried: readonly EndpointState[]) => EndpointState | undefined;
  /** A connection to it that is at hand, or undefined. */
  readonly take: (endpoint: EndpointState) => UpstreamConnection | undefined;
  /**
   * Gives up an idle connection to another endpoint, so that its slot is free; nothing where there is none.
   * Absent where there are no other endpoints.
   */
  readonly makeRoom?: (endpoint: EndpointState) => void;
  /** Opens one in a slot of the group that the caller was granted and this gives back; calls back once. */
  readonly dial: (endpoint: EndpointState, done: (outcome: DialOutcome) => void) => void;
  /**
   * Where the server speaks HTTP/2: a connection to it with room for a stream; calls back once, maybe
   * at once. `take` and `dial` then speak HTTP/1.1, and somebody behind them translates.
   */
  readonly http2?: H2Reach | undefined;
};

/** What became of an attempt to reach a server. */
export type DialOutcome =
  | { readonly kind: 'connected'; readonly connection: UpstreamConnection }
  | { readonly kind: 'failed'; readonly failure: Failure };
