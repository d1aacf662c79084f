import type { RevocationCheck, WorkloadIdentity } from '#identity';
import type { Source } from '#lib';
import type { Snapshot, UpstreamService } from '#snapshot';
import type { Log, ProxyMetrics, RecordSink } from '#telemetry';
import type { Consult } from './consult.ts';
import type { EndpointSummary } from './endpoint-groups.ts';
import type { FetchText, JwksStore } from './token-keys.ts';

/** Where a listener binds; port 0 takes a free one. */
export type ListenAddress = { readonly host: string; readonly port: number };

/** One instance of a service. Its address needs no trust: its identity is checked. */
export type Endpoint = {
  readonly host: string;
  /** Where it takes plain mutual TLS. */
  readonly port: number;
  /** Where it takes HBONE tunnels, which are then preferred; none if 0 or absent. */
  readonly hbonePort?: number | undefined;
  /** What a CONNECT names there, where it is not the service's name and port. */
  readonly authority?: string | undefined;
};

/** A port on 127.0.0.1 that is a service of the mesh. */
export type UpstreamListener = {
  /** Host by which the service is found, e.g. `orders` or `orders.shop`. */
  readonly service: string;
  /** The service's port; its first one if undefined. */
  readonly port?: number | undefined;
  readonly localPort: number;
};

/** What a proxy for one workload works with; nothing here is global, so a process may hold many. */
export type ProxyOptions = {
  readonly snapshots: Source<Snapshot | undefined>;
  readonly identity: Source<WorkloadIdentity | undefined>;
  /** Peers that were revoked: a change is enforced on live connections too. */
  readonly revocations?: Source<RevocationCheck | undefined> | undefined;
  /** Endpoints of a service's port that are thought healthy, in any order. */
  readonly endpoints: (service: UpstreamService, port: number) => readonly Endpoint[];
  /** Looks up a service that the snapshot does not hold, e.g. of another namespace. */
  readonly resolve: (host: string) => Promise<UpstreamService | undefined>;
  /** Asks the providers of CUSTOM policies; without it calls that such a policy matches are refused. */
  readonly consult?: Consult | undefined;
  /** How the keys of token issuers are fetched; the default asks the network. */
  readonly fetchJwks?: FetchText | undefined;
  /** Where the last good keys of token issuers are kept. */
  readonly jwksStore?: JwksStore | undefined;
  /** The application's port on 127.0.0.1 where the Service's port names none. */
  readonly appPort: number | undefined;
  readonly listen: {
    readonly inbound: ListenAddress | undefined;
    /** For HBONE tunnels of other sidecars; none if absent. */
    readonly hbone?: ListenAddress | undefined;
    readonly outbound: ListenAddress | undefined;
    readonly upstreams: readonly UpstreamListener[];
  };
  readonly records: RecordSink;
  readonly metrics: ProxyMetrics;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** When the control plane was last heard of (ms since 1970); staleness is not judged without it. */
  readonly heardAt?: (() => number) | undefined;
};

/** A running proxy. */
export type Proxy = {
  readonly inboundPort: number | undefined;
  readonly hbonePort: number | undefined;
  readonly outboundPort: number | undefined;
  /** Local ports of `listen.upstreams`, in their order. */
  readonly upstreamPorts: readonly number[];
  /** Whether calls can be served now, and why not in words. */
  readonly ready: () => { readonly ready: boolean; readonly reason: string };
  /** Every endpoint of the services that were called, and what is thought of it. */
  readonly endpoints: () => readonly EndpointSummary[];
  /** Takes no new connections, lets exchanges finish for at most `timeoutMs`, then closes. */
  readonly drain: (timeoutMs: number) => Promise<void>;
  /** Closes everything at once. */
  readonly close: () => Promise<void>;
};
