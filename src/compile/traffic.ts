import { fail, ok, parseDuration, type Result } from '#lib';
import {
  DEFAULT_OUTLIER_DETECTION,
  DEFAULT_RETRIES,
  type ServiceHealthCheck,
  type ServiceLimits,
  type ServiceOutlierDetection,
  type ServiceResource,
  type ServiceRetries,
} from '#resource';
import {
  type HealthCheck,
  type Limits,
  NO_LIMITS,
  type OutlierDetection,
  type Retries,
  type TrafficPolicy,
} from '#snapshot';

/** Reads a duration of a field, noting it where it cannot be read. */
type ReadMs = (field: string, text: string) => number;

/** How calls to a service are spread, bounded and tried again; errors name the field. */
export function compileTraffic(service: ServiceResource): Result<TrafficPolicy, readonly string[]> {
  const { namespace, name } = service.metadata;
  const { retries, limits, outlierDetection, healthCheck, loadBalancing } = service.spec;
  const problems: string[] = [];
  const ms: ReadMs = (field, text) => {
    const parsed = parseDuration(text);
    if (parsed.ok) return parsed.value;
    problems.push(`Service ${namespace}/${name}: ${field}: ${parsed.error}`);
    return 0;
  };
  const traffic = {
    loadBalancing: loadBalancing?.simple ?? 'LEAST_REQUEST',
    retries: compileRetries(retries ?? DEFAULT_RETRIES, ms),
    limits: compileLimits(limits ?? {}, ms),
    outlierDetection: compileOutlierDetection(outlierDetection ?? DEFAULT_OUTLIER_DETECTION, ms),
    healthCheck: healthCheck === undefined ? undefined : compileHealthCheck(healthCheck, ms),
  };
  return problems.length > 0 ? fail(problems) : ok(traffic);
}

function compileRetries(
  { attempts, perTryTimeout, retryOn, budget }: ServiceRetries,
  ms: ReadMs,
): Retries {
  return {
    attempts,
    perTryMs: perTryTimeout === undefined ? undefined : ms('retries.perTryTimeout', perTryTimeout),
    on: new Set(retryOn),
    budget: { percent: budget.percent, minPerSecond: budget.minRetriesPerSecond },
  };
}

function compileLimits(limits: ServiceLimits, ms: ReadMs): Limits {
  const { maxConnectionDuration, idleTimeout, ...counts } = limits;
  return {
    ...NO_LIMITS,
    ...counts,
    ...(maxConnectionDuration === undefined
      ? {}
      : { maxConnectionMs: ms('limits.maxConnectionDuration', maxConnectionDuration) }),
    ...(idleTimeout === undefined ? {} : { maxIdleMs: ms('limits.idleTimeout', idleTimeout) }),
  };
}

function compileOutlierDetection(written: ServiceOutlierDetection, ms: ReadMs): OutlierDetection {
  const { successRate } = written;
  return {
    consecutiveGatewayErrors: written.consecutiveGatewayErrors,
    consecutiveConnectFailures: written.consecutiveLocalOriginFailures,
    intervalMs: ms('outlierDetection.interval', written.interval),
    baseEjectionMs: ms('outlierDetection.baseEjectionTime', written.baseEjectionTime),
    maxEjectionMs: ms('outlierDetection.maxEjectionTime', written.maxEjectionTime),
    maxEjectionPercent: written.maxEjectionPercent,
    successRate:
      successRate === undefined
        ? undefined
        : { ...successRate, stdevFactor: successRate.stdevFactor / 1000 },
  };
}

function compileHealthCheck(written: ServiceHealthCheck, ms: ReadMs): HealthCheck {
  const { http, unhealthyThreshold, healthyThreshold } = written;
  return {
    probe:
      http === undefined
        ? { kind: 'tcp' }
        : { kind: 'http', path: http.path, expectedStatuses: new Set(http.expectedStatuses) },
    intervalMs: ms('healthCheck.interval', written.interval),
    timeoutMs: ms('healthCheck.timeout', written.timeout),
    unhealthyThreshold,
    healthyThreshold,
  };
}
