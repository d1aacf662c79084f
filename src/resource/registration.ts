import { parseSpiffeId, type SpiffeId } from '#identity';
import { attestationSelector } from './attestation-selector.ts';
import type { Problem } from './diagnostic.ts';
import { duration } from './duration-field.ts';
import { type Metadata, ROOT_NAMESPACE } from './metadata.ts';
import { isDnsName } from './names.ts';
import {
  type Context,
  defaulted,
  listOf,
  object,
  optional,
  quote,
  type Reader,
  required,
  text,
} from './schema.ts';

/** Which attested process gets which identity; the CA checks it by itself before it signs. */
export type RegistrationResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'Registration';
  readonly metadata: Metadata;
  readonly spec: RegistrationSpec;
};

/** The identity, and what attestation must have found, all of it. */
export type RegistrationSpec = {
  readonly spiffeId: string;
  /** Of the process and of its host, e.g. `unix:uid:1000`; the forms are in `attestation-selector.ts`. */
  readonly selectors: readonly string[];
  /** The lifetime of the certificate, a duration from one minute to 24 hours. */
  readonly ttl: string;
  /** DNS names that the certificate carries too. */
  readonly dnsNames: readonly string[];
  /** The lifetime of JWT-SVIDs, a duration from one minute to 24 hours; 5 minutes unless told. */
  readonly jwtTtl?: string;
  /** Tells a workload with several identities what this one is for, e.g. `internal`. */
  readonly hint?: string;
};

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const spiffeId = text((value, _node, context) => {
  const parsed = parseSpiffeId(value);
  if (!parsed.ok) {
    return {
      code: 'bad_value',
      message: parsed.error,
      help: `write for example \`spiffe://cluster.local/ns/${context.namespace}/sa/web\``,
    };
  }
  return foreignIdentity(parsed.value, context);
});

const hint = text((value) =>
  value.length <= 1024
    ? undefined
    : {
        code: 'bad_value',
        message: 'the hint is too long',
        help: 'write at most 1,024 characters',
      },
);

const dnsName = text((value, _node, context) => dnsNameProblem(value, context));

// Renewed at half of it: shorter, the authority and its log would have nothing else to do.
const LEAST_TTL_MS = 5_000;

/** Reads the spec of a Registration. */
export const readRegistrationSpec: Reader<RegistrationSpec> = object('a Registration', {
  spiffeId: required(spiffeId, 'write the identity that matching processes get'),
  selectors: required(
    listOf(attestationSelector, { maxItems: 32 }),
    'write what a process must be, for example `selectors: [unix:uid:1000]`',
  ),
  ttl: defaulted(duration(LEAST_TTL_MS, DAY_MS), () => '1h'),
  dnsNames: defaulted(listOf(dnsName, { maxItems: 32, mayBeEmpty: true }), () => []),
  jwtTtl: optional(duration(MINUTE_MS, DAY_MS)),
  hint: optional(hint),
});

/**
 * SECURITY: a namespace's authors sign its registrations. Could they name identities of another
 * namespace, they could become any workload of the mesh.
 */
function foreignIdentity(id: SpiffeId, context: Context): Problem | undefined {
  if (context.trustDomain !== undefined && id.trustDomain !== context.trustDomain) {
    return {
      code: 'trust_domain_mismatch',
      message: `${quote(id.trustDomain)} is not the trust domain of this mesh`,
      help: `its authority signs only for \`spiffe://${context.trustDomain}/…\``,
    };
  }
  if (id.path === '/palisade' || id.path.startsWith('/palisade/')) {
    return {
      code: 'bad_value',
      message: `${quote(id.path)} is reserved for the mesh's own processes`,
      help: `write \`spiffe://${id.trustDomain}/ns/${context.namespace}/sa/ACCOUNT\``,
    };
  }
  if (context.namespace === ROOT_NAMESPACE || id.namespace === context.namespace) return undefined;
  return {
    code: 'foreign_namespace',
    message: `a Registration in the namespace ${quote(context.namespace)} cannot give the identity ${quote(id.path)}`,
    help: `write \`spiffe://${id.trustDomain}/ns/${context.namespace}/sa/ACCOUNT\`, or move it to the namespace \`${ROOT_NAMESPACE}\``,
  };
}

function dnsNameProblem(value: string, context: Context): Problem | undefined {
  if (!isDnsName(value)) {
    return {
      code: 'bad_value',
      message: `${quote(value)} is not a DNS name`,
      help: 'write for example `web.example.org`, without wildcard and trailing dot',
    };
  }
  // SECURITY: the same for names by which other namespaces' services are reached.
  const [, namespace, svc, ...domain] = value.split('.');
  const isMeshName =
    svc === 'svc' &&
    (domain.length === 0 ||
      context.trustDomain === undefined ||
      domain.join('.') === context.trustDomain);
  if (!isMeshName || context.namespace === ROOT_NAMESPACE || namespace === context.namespace)
    return undefined;
  return {
    code: 'foreign_namespace',
    message: `${quote(value)} is the name of a service in another namespace`,
    help: `name services of the namespace \`${context.namespace}\` only`,
  };
}
