// snapshot: what one proxy enforces, immutable and versioned; built by #compile, read by the proxy.
export { changedPolicies } from './changed-policies.ts';
export {
  type AuthorizationProvider,
  type CallerBudget,
  type DeclaredEndpoint,
  findUpstream,
  type InboundPort,
  type PeerMode,
  type Reauthorization,
  type SetVersion,
  type Snapshot,
  type Timeouts,
  type UpstreamPort,
  type UpstreamService,
} from './snapshot.ts';
export { DEFAULT_TELEMETRY, type TelemetryRules } from './telemetry.ts';
export {
  type HealthCheck,
  type Limits,
  NO_LIMITS,
  type OutlierDetection,
  type Retries,
  type RetryCause,
  type TrafficPolicy,
} from './traffic.ts';
