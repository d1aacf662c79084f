import type { AuthorizationPolicyResource } from './authorization-policy.ts';
import type { MeshResource } from './mesh.ts';
import type { NodeAttestorResource } from './node-attestor.ts';
import type { PeerAuthenticationResource } from './peer-authentication.ts';
import type { PolicyExceptionResource } from './policy-exception.ts';
import type { RegistrationResource } from './registration.ts';
import type { RequestAuthenticationResource } from './request-authentication.ts';
import type { ServiceResource } from './service.ts';
import type { SinkResource } from './sink.ts';
import type { SloResource } from './slo.ts';
import type { TelemetryPolicyResource } from './telemetry-policy.ts';
import type { TrustDomainFederationResource } from './trust-domain-federation.ts';

/** Anything operators write. */
export type Resource =
  | MeshResource
  | ServiceResource
  | RegistrationResource
  | NodeAttestorResource
  | TrustDomainFederationResource
  | AuthorizationPolicyResource
  | PeerAuthenticationResource
  | PolicyExceptionResource
  | RequestAuthenticationResource
  | SloResource
  | SinkResource
  | TelemetryPolicyResource;

/** The kind of a resource. */
export type Kind = Resource['kind'];

/** All kinds, in the order in which a person meets them. */
export const KINDS: readonly Kind[] = [
  'Mesh',
  'Service',
  'Registration',
  'NodeAttestor',
  'TrustDomainFederation',
  'AuthorizationPolicy',
  'PeerAuthentication',
  'PolicyException',
  'RequestAuthentication',
  'SLO',
  'Sink',
  'TelemetryPolicy',
];

/** The key of a resource within its namespace's policy set, `Kind/name`. */
export function resourceKey(resource: Resource): string {
  return `${resource.kind}/${resource.metadata.name}`;
}

/** The names a service is reached by; the first, without a namespace, counts only within its own. */
export function serviceHosts(
  namespace: string,
  name: string,
  trustDomain: string,
): readonly string[] {
  return [
    name,
    `${name}.${namespace}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.${trustDomain}`,
  ];
}
