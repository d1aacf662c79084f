// resource: what operators write. Parsing is validation and reports every problem with its place.

export type { RuleCondition } from './authorization-condition.ts';
export type { RuleOperation } from './authorization-operation.ts';
export {
  type AuthorizationPolicyResource,
  type AuthorizationPolicySpec,
  type AuthorizationRule,
  DRY_RUN_ANNOTATION,
  isDryRun,
} from './authorization-policy.ts';
export type { RuleSource } from './authorization-source.ts';
export type { ServiceCallerBudget, ServiceRequestCost } from './caller-budget.ts';
export { crossCheck } from './cross-check.ts';
export { sharesFile } from './cross-check-sinks.ts';
export type { Diagnostic, SourcePosition, SourceSpan } from './diagnostic.ts';
export { DANGEROUS_CODES, DIAGNOSTIC_CODES, type DiagnosticCode } from './errors.ts';
export type { ExtensionProvider } from './extension-provider.ts';
export {
  type ImportedResource,
  type ImportOptions,
  type IstioImport,
  importIstio,
} from './istio-import.ts';
export { DEFAULT_TRUST_DOMAIN, isTokenIssuer, type MeshResource, type MeshSpec } from './mesh.ts';
export { type Metadata, ROOT_NAMESPACE } from './metadata.ts';
export { nearest } from './nearest.ts';
export type { NodeAttestorResource, NodeAttestorSpec } from './node-attestor.ts';
export {
  type AuthoredResource,
  type AuthoredTest,
  type ParsedResources,
  parseResources,
} from './parse.ts';
export { parseStoredResource } from './parse-stored.ts';
export type {
  MtlsMode,
  PeerAuthenticationResource,
  PeerAuthenticationSpec,
} from './peer-authentication.ts';
export type { PolicyExceptionResource, PolicyExceptionSpec } from './policy-exception.ts';
export {
  POLICY_TEST_KIND,
  type PolicyTest,
  type PolicyTestCase,
  type PolicyTestExpectation,
  type PolicyTestRequest,
} from './policy-test.ts';
export type { RegistrationResource, RegistrationSpec } from './registration.ts';
export { type RenderOptions, renderDiagnostics } from './render.ts';
export type {
  JwtRule,
  RequestAuthenticationResource,
  RequestAuthenticationSpec,
} from './request-authentication.ts';
export { KINDS, type Kind, type Resource, resourceKey, serviceHosts } from './resource.ts';
export type { WorkloadSelector } from './selector.ts';
export type { ServicePort, ServiceResource, ServiceSpec, ServiceTimeouts } from './service.ts';
export {
  DEFAULT_OUTLIER_DETECTION,
  DEFAULT_RETRIES,
  type ServiceHealthCheck,
  type ServiceLimits,
  type ServiceOutlierDetection,
  type ServiceRetries,
} from './service-traffic.ts';
export type { SinkFormat, SinkResource, SinkSpec } from './sink.ts';
export type { SinkAuditFilter, SinkEvidence, SinkRecordFilter } from './sink-evidence.ts';
export type {
  SinkFile,
  SinkHeader,
  SinkHttp,
  SinkSecret,
  SinkSyslog,
  SinkTls,
  SinkWebhook,
} from './sink-receiver.ts';
export type { SloResource, SloSpec } from './slo.ts';
export { type StarterFile, starterResources } from './starter.ts';
export type { TargetRef } from './target-ref.ts';
export type { TelemetryPolicyResource, TelemetryPolicySpec } from './telemetry-policy.ts';
export { resourceToYaml } from './to-yaml.ts';
export type {
  BundleEndpointProfile,
  TrustDomainFederationResource,
  TrustDomainFederationSpec,
} from './trust-domain-federation.ts';
export { createWorld } from './world.ts';
