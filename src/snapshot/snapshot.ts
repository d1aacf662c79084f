import type { SpiffeId, TrustDomain } from '#identity';
import type { Cidr, PathNormalization, PortProtocol } from '#lib';
import type { PolicyIr, Program } from '#policy';
import type { TokenRule } from '#token';
import type { TelemetryRules } from './telemetry.ts';
import type { Limits, TrafficPolicy } from './traffic.ts';

/** Whether a caller must, may or cannot use mutual TLS (Istio's PeerAuthentication modes, resolved). */
export type PeerMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

/** One port of the workload's Service. `targetPort` is the application's, undefined if nobody said. */
export type InboundPort = {
  readonly port: number;
  readonly name: string;
  readonly protocol: PortProtocol;
  readonly targetPort: number | undefined;
  /** Where a connection comes from that must begin with a PROXY protocol header; elsewhere none may. */
  readonly proxyProtocolFrom: readonly Cidr[];
  readonly peerMode: PeerMode;
};

/** A service's time limits, in milliseconds. */
export type Timeouts = {
  readonly connectMs: number;
  readonly idleMs: number;
  readonly headerMs: number;
  readonly responseMs: number;
  /** The whole call with all its tries; undefined for no limit. */
  readonly requestMs?: number | undefined;
  /** Without a byte either way of a TCP connection or of one that switched protocols. */
  readonly sessionMs: number;
};

/** A port of a service that the workload may call. */
export type UpstreamPort = {
  readonly port: number;
  readonly name: string;
  readonly protocol: PortProtocol;
  /** The application's, undefined if nobody said. */
  readonly targetPort?: number | undefined;
};

/** An instance that its Service names, beside those that sidecars announce. */
export type DeclaredEndpoint = {
  /** An IP address. */
  readonly host: string;
  /** Of plain mutual TLS; undefined for the called port's `targetPort` or number. */
  readonly port: number | undefined;
  readonly hbonePort: number | undefined;
  /** Whether a CONNECT names the service and its port, or this address and the application's port. */
  readonly authority: 'service' | 'address';
};

/** A service the workload may call, and who may answer for it. */
export type UpstreamService = {
  readonly namespace: string;
  readonly name: string;
  /** `NAME.NS.svc.TRUST-DOMAIN`. */
  readonly fqdn: string;
  readonly ports: readonly UpstreamPort[];
  /**
   * SPIFFE IDs that may serve this name.
   * SECURITY: a peer with any other identity is not the service, whatever address it has.
   */
  readonly identities: ReadonlySet<string>;
  readonly endpoints?: readonly DeclaredEndpoint[] | undefined;
  readonly timeouts: Timeouts;
  readonly traffic: TrafficPolicy;
  readonly pathNormalization: PathNormalization;
};

/** An external authorizer: a service that is asked about each call that a CUSTOM policy matches. */
export type AuthorizationProvider = {
  readonly name: string;
  readonly protocol: 'http' | 'grpc';
  /** A host of the mesh, or a loopback address. */
  readonly host: string;
  readonly port: number;
  /** For connecting and answering together. */
  readonly timeoutMs: number;
  /** SECURITY: whether a call passes that the provider did not judge. */
  readonly failOpen: boolean;
  /** HTTP only: what stands before the path, which headers of the request go along, and what is added. */
  readonly pathPrefix: string;
  readonly copiedHeaders: readonly string[];
  readonly addedHeaders: Readonly<Record<string, string>>;
};

/** What one caller may spend on the workload's requests; each of its sidecars keeps its own accounts. */
export type CallerBudget = {
  /** At most so many at once; they come back evenly within `perMs`. */
  readonly units: number;
  readonly perMs: number;
  /** Of a request that no rule names. */
  readonly defaultCost: number;
  /** By the policy of `program` that allows the request. */
  readonly costs: ReadonlyMap<string, number>;
  readonly program: Program;
};

/** The signed set of a namespace that a snapshot was compiled from. */
export type SetVersion = { readonly number: number; readonly hash: string };

/** What becomes of plain requests under way that policy no longer allows; all else is cut at once. */
export type Reauthorization = {
  readonly requests: 'finish' | 'cut';
  readonly withinMs: number;
};

/** All that one workload enforces. INVARIANT: immutable; a change is a new snapshot, swapped whole. */
export type Snapshot = {
  /** All versions in one text, by namespace, e.g. `default@12 palisade-system@3`. */
  readonly version: string;
  readonly versions: Readonly<Record<string, SetVersion>>;
  readonly workload: {
    readonly namespace: string;
    readonly service: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly id: SpiffeId;
  };
  readonly trustDomain: TrustDomain;
  /** Foreign trust domains whose workloads can be authenticated, sorted; policy says what they may. */
  readonly federated: readonly string[];
  readonly program: Program;
  /**
   * The same policies as if each request had the user's token that they ask for: what it allows lacks nothing
   * but a token. Undefined where tokens are not looked at.
   */
  readonly userProgram?: Program | undefined;
  /** What the program was compiled from, for `explain`. */
  readonly policies: readonly PolicyIr[];
  readonly defaultAction: 'deny' | 'allow';
  /** Which tokens of end users are valid; none are looked at if empty. */
  readonly tokens: readonly TokenRule[];
  readonly inbound: readonly InboundPort[];
  /** What the mesh demands of every connection's key exchange; `hybrid` is X25519MLKEM768. */
  readonly keyExchange: 'prefer-hybrid' | 'require-hybrid';
  /** Whom CUSTOM policies ask, by name. */
  readonly providers: ReadonlyMap<string, AuthorizationProvider>;
  /** How many last entries of `x-forwarded-for` trusted proxies added. */
  readonly trustedHops: number;
  readonly timeouts: Timeouts;
  /** Undefined: callers may spend what they like. */
  readonly callerBudget?: CallerBudget | undefined;
  /** What the workload's own sidecar bears towards the application. */
  readonly limits: Limits;
  /** Of requests to the workload itself. */
  readonly pathNormalization: PathNormalization;
  /** By lower-case host without port: `NAME`, `NAME.NS`, `NAME.NS.svc`, `NAME.NS.svc.TRUST-DOMAIN`. */
  readonly upstreams: ReadonlyMap<string, UpstreamService>;
  /** How long to enforce without hearing of the control plane, and what to do then. */
  readonly staleness: { readonly budgetMs: number; readonly then: 'enforce' | 'deny' };
  readonly reauthorization: Reauthorization;
  /** What is recorded of calls. */
  readonly telemetry: TelemetryRules;
};

/** The service a host names, `host` with or without port and trailing dot; undefined if it is none of the mesh. */
export function findUpstream(snapshot: Snapshot, host: string): UpstreamService | undefined {
  const found = snapshot.upstreams.get(host);
  if (found !== undefined) return found;
  const colon = host.indexOf(':');
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  return snapshot.upstreams.get(name.endsWith('.') ? name.slice(0, -1) : name);
}
