import { duration } from './duration-field.ts';
import { child, type MapNode } from './node.ts';
import {
  type Context,
  defaulted,
  integer,
  listOf,
  type ObjectOf,
  object,
  oneOf,
  optional,
  type Reader,
  text,
} from './schema.ts';

/** When a call to the service is tried again; Istio's HTTPRetry and Envoy's retry budget. */
export type ServiceRetries = {
  /** Beyond the first try; 0 for never. */
  readonly attempts: number;
  /** A duration; without it a try may take as long as the whole call. */
  readonly perTryTimeout?: string;
  readonly retryOn: readonly RetryCause[];
  readonly budget: ServiceRetryBudget;
};

/** Why a try may be followed by another one, in Envoy's words. */
export type RetryCause = 'connect-failure' | 'reset' | 'gateway-error';

/** Retries of the last ten seconds: `percent` of the calls of the same time, and so many a second. */
export type ServiceRetryBudget = { readonly percent: number; readonly minRetriesPerSecond: number };

/** What one sidecar bears of the service at once; Istio's ConnectionPoolSettings. Absent: no limit. */
export type ServiceLimits = {
  readonly maxConnections?: number;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  /** A duration after which a connection takes no further request. */
  readonly maxConnectionDuration?: string;
  /** A duration for which an unused connection is kept. */
  readonly idleTimeout?: string;
};

/** When an endpoint that fails calls is left alone; Istio's OutlierDetection. Durations are text. */
export type ServiceOutlierDetection = {
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalOriginFailures: number;
  readonly interval: string;
  readonly baseEjectionTime: string;
  readonly maxEjectionTime: string;
  readonly maxEjectionPercent: number;
  readonly successRate?: ServiceSuccessRate;
};

/** Ejects those whose share of successes is far below the others'; Envoy's success rate detection. */
export type ServiceSuccessRate = {
  readonly minimumHosts: number;
  readonly requestVolume: number;
  /** Thousandths of a standard deviation below the mean. */
  readonly stdevFactor: number;
};

/** Probes of endpoints; exactly one of `http` and `tcp`. */
export type ServiceHealthCheck = {
  readonly http?: { readonly path: string; readonly expectedStatuses: readonly number[] };
  readonly tcp?: Readonly<Record<string, never>>;
  readonly interval: string;
  readonly timeout: string;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
};

/** How endpoints are chosen; Istio's LoadBalancerSettings. */
export type ServiceLoadBalancing = { readonly simple: 'LEAST_REQUEST' | 'ROUND_ROBIN' };

/** What holds where a Service says nothing. */
export const DEFAULT_RETRIES: ServiceRetries = {
  attempts: 2,
  retryOn: ['connect-failure', 'reset'],
  budget: { percent: 20, minRetriesPerSecond: 10 },
};

/** What holds where a Service says nothing. */
export const DEFAULT_OUTLIER_DETECTION: ServiceOutlierDetection = {
  consecutiveGatewayErrors: 5,
  consecutiveLocalOriginFailures: 1,
  interval: '10s',
  baseEjectionTime: '2s',
  maxEjectionTime: '60s',
  maxEjectionPercent: 50,
};

const DEFAULT_SUCCESS_RATE = { minimumHosts: 5, requestVolume: 100, stdevFactor: 1900 };
const DEFAULT_HEALTH_CHECK = {
  interval: '5s',
  timeout: '1s',
  unhealthyThreshold: 2,
  healthyThreshold: 2,
};
const DAY_MS = 24 * 60 * 60_000;
/** More tries than this are a storm that no budget was meant for. */
const MAX_ATTEMPTS = 10;
const MANY = 1_000_000;

const percent = integer(0, 100);
const count = integer(1, MANY);

const budget = object('budget', {
  percent: defaulted(percent, () => DEFAULT_RETRIES.budget.percent),
  minRetriesPerSecond: defaulted(
    integer(0, 10_000),
    () => DEFAULT_RETRIES.budget.minRetriesPerSecond,
  ),
});

/** Reads `retries`. */
export const readRetries: Reader<ServiceRetries> = object('retries', {
  attempts: defaulted(integer(0, MAX_ATTEMPTS), () => DEFAULT_RETRIES.attempts),
  perTryTimeout: optional(duration(1, DAY_MS)),
  retryOn: defaulted(
    listOf(oneOf(['connect-failure', 'reset', 'gateway-error'])),
    () => DEFAULT_RETRIES.retryOn,
  ),
  budget: defaulted(budget, () => DEFAULT_RETRIES.budget),
});

/** Reads `limits`. */
export const readLimits: Reader<ServiceLimits> = object('limits', {
  maxConnections: optional(count),
  maxPendingRequests: optional(integer(0, MANY)),
  maxRequests: optional(count),
  maxRequestsPerConnection: optional(count),
  maxConnectionDuration: optional(duration(1_000, 30 * DAY_MS)),
  idleTimeout: optional(duration(1, DAY_MS)),
});

const successRate = object('successRate', {
  minimumHosts: defaulted(integer(2, 10_000), () => DEFAULT_SUCCESS_RATE.minimumHosts),
  requestVolume: defaulted(count, () => DEFAULT_SUCCESS_RATE.requestVolume),
  stdevFactor: defaulted(integer(0, 10_000), () => DEFAULT_SUCCESS_RATE.stdevFactor),
});

/** Reads `outlierDetection`; a threshold of 0 switches its kind off. */
export const readOutlierDetection: Reader<ServiceOutlierDetection> = object('outlierDetection', {
  consecutiveGatewayErrors: defaulted(
    integer(0, MANY),
    () => DEFAULT_OUTLIER_DETECTION.consecutiveGatewayErrors,
  ),
  consecutiveLocalOriginFailures: defaulted(
    integer(0, MANY),
    () => DEFAULT_OUTLIER_DETECTION.consecutiveLocalOriginFailures,
  ),
  interval: defaulted(duration(10, DAY_MS), () => DEFAULT_OUTLIER_DETECTION.interval),
  baseEjectionTime: defaulted(
    duration(10, DAY_MS),
    () => DEFAULT_OUTLIER_DETECTION.baseEjectionTime,
  ),
  maxEjectionTime: defaulted(duration(10, DAY_MS), () => DEFAULT_OUTLIER_DETECTION.maxEjectionTime),
  maxEjectionPercent: defaulted(percent, () => DEFAULT_OUTLIER_DETECTION.maxEjectionPercent),
  successRate: optional(successRate),
});

// A path as it stands in a request line: no query, nothing that would need a second reading.
const probePath = text((value) =>
  /^\/[!-"$->@-~]*$/.test(value)
    ? undefined
    : {
        code: 'bad_value',
        message: 'the path cannot be asked for',
        help: 'write for example `/healthz`: it starts with `/` and holds neither spaces, `?` nor `#`',
      },
);

const httpCheck = object('http', {
  path: defaulted(probePath, () => '/'),
  expectedStatuses: defaulted(listOf(integer(200, 599), { maxItems: 64 }), () => [200]),
});

const checkFields = {
  http: optional(httpCheck),
  tcp: optional(object('tcp', {})),
  interval: defaulted(duration(10, DAY_MS), () => DEFAULT_HEALTH_CHECK.interval),
  timeout: defaulted(duration(1, DAY_MS), () => DEFAULT_HEALTH_CHECK.timeout),
  unhealthyThreshold: defaulted(integer(1, 1_000), () => DEFAULT_HEALTH_CHECK.unhealthyThreshold),
  healthyThreshold: defaulted(integer(1, 1_000), () => DEFAULT_HEALTH_CHECK.healthyThreshold),
};

/** Reads `healthCheck`. */
export const readHealthCheck: Reader<ServiceHealthCheck> = object(
  'healthCheck',
  checkFields,
  checkOneKind,
);

/** Reads `loadBalancing`. */
export const readLoadBalancing: Reader<ServiceLoadBalancing> = object('loadBalancing', {
  simple: defaulted(oneOf(['LEAST_REQUEST', 'ROUND_ROBIN']), () => 'LEAST_REQUEST' as const),
});

function checkOneKind(
  _value: Partial<ObjectOf<typeof checkFields>>,
  node: MapNode,
  context: Context,
): void {
  const http = child(node, 'http');
  const tcp = child(node, 'tcp');
  if ((http === undefined) !== (tcp === undefined)) return;
  const at = http === undefined ? node.entries[0]?.keyRange : tcp?.range;
  context.report.error(at ?? node.range, {
    code: http === undefined ? 'missing_field' : 'bad_value',
    message: 'a health check is either `http` or `tcp`',
    help: 'write for example `http: {path: /healthz}`, or `tcp: {}`',
  });
}
