import type { Failure } from './respond.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** How a call finds the connection that answers it. */
export type Connector = {
  /** A connection at hand, or undefined. */
  readonly take: () => UpstreamConnection | undefined;
  /** Opens one; calls back once. */
  readonly dial: (done: (outcome: DialOutcome) => void) => void;
};

/** What became of an attempt to reach a server. */
export type DialOutcome =
  | { readonly kind: 'connected'; readonly connection: UpstreamConnection }
  | { readonly kind: 'failed'; readonly failure: Failure };
