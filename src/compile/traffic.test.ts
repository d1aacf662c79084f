import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResources, type ServiceResource } from '#resource';
import { NO_LIMITS, type TrafficPolicy } from '#snapshot';
import { compileTraffic } from './traffic.ts';

function compile(spec: string): TrafficPolicy {
  const text = `apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders}
spec: {ports: [{port: 80, protocol: http}]${spec}}`;
  const parsed = parseResources([{ file: 'a.yaml', text }], { defaultNamespace: 'default' });
  assert.deepEqual(parsed.diagnostics, []);
  const compiled = compileTraffic(parsed.resources[0]?.resource as ServiceResource);
  assert.ok(compiled.ok);
  return compiled.value;
}

function check(spec: string, want: Partial<TrafficPolicy>): void {
  const compiled = compile(spec);
  for (const [key, value] of Object.entries(want)) {
    assert.deepEqual(compiled[key as keyof TrafficPolicy], value, `${spec}: ${key}`);
  }
}

test('a Service that says nothing gets the defaults of the reference', () => {
  check('', {
    loadBalancing: 'LEAST_REQUEST',
    limits: NO_LIMITS,
    healthCheck: undefined,
    retries: {
      attempts: 2,
      perTryMs: undefined,
      on: new Set(['connect-failure', 'reset']),
      budget: { percent: 20, minPerSecond: 10 },
    },
    outlierDetection: {
      consecutiveGatewayErrors: 5,
      consecutiveConnectFailures: 1,
      intervalMs: 10_000,
      baseEjectionMs: 2_000,
      maxEjectionMs: 60_000,
      maxEjectionPercent: 50,
      successRate: undefined,
    },
  });
});

test('what a Service says is what its callers and its own sidecar enforce', () => {
  check(', loadBalancing: {simple: ROUND_ROBIN}', { loadBalancing: 'ROUND_ROBIN' });
  check(', limits: {maxConnections: 5, maxRequests: 9, maxConnectionDuration: 1h}', {
    limits: { ...NO_LIMITS, maxConnections: 5, maxRequests: 9, maxConnectionMs: 3_600_000 },
  });
  check(', retries: {attempts: 0}', {
    retries: { ...compile('').retries, attempts: 0 },
  });
  check(', retries: {perTryTimeout: 250ms, retryOn: [gateway-error]}', {
    retries: { ...compile('').retries, perTryMs: 250, on: new Set(['gateway-error']) },
  });
  check(', outlierDetection: {successRate: {}}', {
    outlierDetection: {
      ...compile('').outlierDetection,
      successRate: { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9 },
    },
  });
  check(', healthCheck: {http: {path: /healthz}, interval: 2s}', {
    healthCheck: {
      probe: { kind: 'http', path: '/healthz', expectedStatuses: new Set([200]) },
      intervalMs: 2_000,
      timeoutMs: 1_000,
      unhealthyThreshold: 2,
      healthyThreshold: 2,
    },
  });
  check(', healthCheck: {tcp: {}}', {
    healthCheck: {
      probe: { kind: 'tcp' },
      intervalMs: 5_000,
      timeoutMs: 1_000,
      unhealthyThreshold: 2,
      healthyThreshold: 2,
    },
  });
});
