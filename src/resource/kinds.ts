import {
  checkDryRun,
  DRY_RUN_ANNOTATION,
  readAuthorizationPolicySpec,
} from './authorization-policy.ts';
import { readMeshSpec } from './mesh.ts';
import { type Metadata, type MetadataRules, ROOT_NAMESPACE } from './metadata.ts';
import type { Node } from './node.ts';
import { readNodeAttestorSpec } from './node-attestor.ts';
import { readPeerAuthenticationSpec } from './peer-authentication.ts';
import { readPolicyExceptionSpec } from './policy-exception.ts';
import { readRegistrationSpec } from './registration.ts';
import { readRequestAuthenticationSpec } from './request-authentication.ts';
import type { Kind, Resource } from './resource.ts';
import type { Context, Reader } from './schema.ts';
import { readServiceSpec } from './service.ts';
import { readSinkSpec } from './sink.ts';
import { readSloSpec } from './slo.ts';
import { readTelemetryPolicySpec } from './telemetry-policy.ts';
import { readTrustDomainFederationSpec } from './trust-domain-federation.ts';

/** How a kind is read; the first of `apiVersions` is the one it is stored with. */
export type KindSchema = {
  readonly apiVersions: readonly [Resource['apiVersion'], ...string[]];
  readonly metadata: MetadataRules;
  readonly readSpec: Reader<Resource['spec']>;
  /** What the kind demands of its metadata besides; `root` is the document. */
  readonly checkMetadata?: (metadata: Metadata | undefined, root: Node, context: Context) => void;
};

const OWN = ['palisade.dev/v1'] as const;
const ISTIO = ['security.istio.io/v1', 'security.istio.io/v1beta1'] as const;

/** The schema of every kind. */
export const KIND_SCHEMAS: Readonly<Record<Kind, KindSchema>> = {
  Mesh: {
    apiVersions: OWN,
    metadata: { nameIsHost: true, only: { name: 'mesh', namespace: ROOT_NAMESPACE } },
    readSpec: readMeshSpec,
  },
  Service: { apiVersions: OWN, metadata: { nameIsHost: true }, readSpec: readServiceSpec },
  Registration: {
    apiVersions: OWN,
    metadata: { nameIsHost: false },
    readSpec: readRegistrationSpec,
  },
  NodeAttestor: {
    apiVersions: OWN,
    metadata: { nameIsHost: false, only: { namespace: ROOT_NAMESPACE } },
    readSpec: readNodeAttestorSpec,
  },
  TrustDomainFederation: {
    apiVersions: OWN,
    metadata: { nameIsHost: false, only: { namespace: ROOT_NAMESPACE } },
    readSpec: readTrustDomainFederationSpec,
  },
  AuthorizationPolicy: {
    apiVersions: ISTIO,
    metadata: { nameIsHost: false, annotation: DRY_RUN_ANNOTATION },
    readSpec: readAuthorizationPolicySpec,
    checkMetadata: checkDryRun,
  },
  PolicyException: {
    apiVersions: OWN,
    metadata: { nameIsHost: false },
    readSpec: readPolicyExceptionSpec,
  },
  PeerAuthentication: {
    apiVersions: ISTIO,
    metadata: { nameIsHost: false },
    readSpec: readPeerAuthenticationSpec,
  },
  RequestAuthentication: {
    apiVersions: ISTIO,
    metadata: { nameIsHost: false },
    readSpec: readRequestAuthenticationSpec,
  },
  TelemetryPolicy: {
    apiVersions: OWN,
    metadata: { nameIsHost: false },
    readSpec: readTelemetryPolicySpec,
  },
  SLO: { apiVersions: OWN, metadata: { nameIsHost: false }, readSpec: readSloSpec },
  Sink: {
    apiVersions: OWN,
    metadata: { nameIsHost: false, only: { namespace: ROOT_NAMESPACE } },
    readSpec: readSinkSpec,
  },
};
