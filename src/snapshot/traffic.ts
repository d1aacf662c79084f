/** How calls to a service are spread, bounded, tried again, and kept away from what fails. */
export type TrafficPolicy = {
  readonly loadBalancing: 'LEAST_REQUEST' | 'ROUND_ROBIN';
  readonly retries: Retries;
  readonly limits: Limits;
  readonly outlierDetection: OutlierDetection;
  readonly healthCheck: HealthCheck | undefined;
};

/** Why a try may be followed by another one: no connection, no answer, or 502, 503 and 504. */
export type RetryCause = 'connect-failure' | 'reset' | 'gateway-error';

/** When a call is tried again. */
export type Retries = {
  /** Beyond the first try. */
  readonly attempts: number;
  readonly perTryMs: number | undefined;
  readonly on: ReadonlySet<RetryCause>;
  /** Retries over the last ten seconds: this share of the calls, and `minPerSecond` on top. */
  readonly budget: { readonly percent: number; readonly minPerSecond: number };
};

/** What one sidecar bears at once; `Infinity` for no limit. */
export type Limits = {
  readonly maxConnections: number;
  /** Requests that wait for a connection. */
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRequestsPerConnection: number;
  readonly maxConnectionMs: number;
  readonly maxIdleMs: number;
};

/** When an endpoint that fails calls is left alone; a count of 0 switches its kind off. */
export type OutlierDetection = {
  readonly consecutiveGatewayErrors: number;
  /** Connections that could not be made. */
  readonly consecutiveConnectFailures: number;
  readonly intervalMs: number;
  /** The first ejection; the n-th one takes n times as long, up to `maxEjectionMs`. */
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionPercent: number;
  readonly successRate:
    | {
        readonly minimumHosts: number;
        readonly requestVolume: number;
        /** Standard deviations below the mean. */
        readonly stdevFactor: number;
      }
    | undefined;
};

/** How endpoints are probed. */
export type HealthCheck = {
  readonly probe:
    | { readonly kind: 'tcp' }
    | {
        readonly kind: 'http';
        readonly path: string;
        readonly expectedStatuses: ReadonlySet<number>;
      };
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
};

/** No limit at all. */
export const NO_LIMITS: Limits = {
  maxConnections: Number.POSITIVE_INFINITY,
  maxPendingRequests: Number.POSITIVE_INFINITY,
  maxRequests: Number.POSITIVE_INFINITY,
  maxRequestsPerConnection: Number.POSITIVE_INFINITY,
  maxConnectionMs: Number.POSITIVE_INFINITY,
  maxIdleMs: Number.POSITIVE_INFINITY,
};
