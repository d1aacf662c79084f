import { type Bundle, bundlePem } from '#identity';
import { fail, ok, type Result } from '#lib';
import {
  createMessage,
  type DiscoveryResponse,
  encodeMessage,
  type Secret,
  SecretSchema,
  SPIFFECertValidatorConfigSchema,
} from '#wire';
import type { ServedSvid } from './svid-source.ts';

/** The type URL of the only resources this service has. */
export const SECRET_TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** What a workload may be told as secrets: its identities, and the bundles, our own trust domain's first. */
export type SecretMaterial = {
  readonly svids: readonly ServedSvid[];
  readonly bundles: readonly Bundle[];
};

/** The resources of an answer. */
export type SecretResources = DiscoveryResponse['resources'];

const VALIDATOR_TYPE =
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';
// The names that SPIRE's agent has, so that an Envoy configured for it needs no change.
const DEFAULT_SVID = 'default';
const OWN_BUNDLE = 'ROOTCA';
const ALL_BUNDLES = 'ALL';

/**
 * The secrets of these names; without names, all there are. A SPIFFE ID is an identity, a trust domain's is its bundle,
 * `default` the first identity, `ROOTCA` our own bundle, and `ALL` Envoy's SPIFFE validator over all bundles. Fails with
 * the first name that is none of these.
 */
export function secretsNamed(
  names: readonly string[],
  material: SecretMaterial,
): Result<SecretResources, string> {
  const wanted = names.length === 0 ? allNames(material) : names;
  const resources: SecretResources = [];
  for (const name of new Set(wanted)) {
    const type = secretOf(name, material);
    if (type === undefined) return fail(name);
    const value = encodeMessage(SecretSchema, createMessage(SecretSchema, { name, type }));
    resources.push({ $typeName: 'google.protobuf.Any', typeUrl: SECRET_TYPE, value });
  }
  return ok(resources);
}

function allNames({ svids, bundles }: SecretMaterial): readonly string[] {
  return [
    ...svids.map(({ identity }) => identity.id.text),
    ...bundles.map(({ trustDomain }) => `spiffe://${trustDomain}`),
  ];
}

function secretOf(name: string, { svids, bundles }: SecretMaterial): Secret['type'] | undefined {
  const svid =
    name === DEFAULT_SVID
      ? svids[0]
      : svids.find(
          ({ identity, hint }) => identity.id.text === name || (hint !== '' && hint === name),
        );
  if (svid !== undefined) return tlsCertificate(svid);
  if (name === ALL_BUNDLES) return allBundles(bundles);
  // INVARIANT: one bundle a context. Merged, one trust domain could vouch for another.
  const bundle =
    name === OWN_BUNDLE
      ? bundles[0]
      : bundles.find(({ trustDomain }) => name === `spiffe://${trustDomain}`);
  if (bundle === undefined) return undefined;
  return createMessage(SecretSchema, {
    type: { case: 'validationContext', value: { trustedCa: inline(bundlePem(bundle)) } },
  }).type;
}

function tlsCertificate({ identity }: ServedSvid): Secret['type'] {
  const { chainPem, privateKeyPem } = identity;
  return createMessage(SecretSchema, {
    type: {
      case: 'tlsCertificate',
      value: { certificateChain: inline(chainPem), privateKey: inline(privateKeyPem) },
    },
  }).type;
}

function allBundles(bundles: readonly Bundle[]): Secret['type'] {
  const config = createMessage(SPIFFECertValidatorConfigSchema, {
    trustDomains: bundles.map((bundle) => ({
      name: bundle.trustDomain,
      trustBundle: inline(bundlePem(bundle)),
    })),
  });
  const typedConfig = {
    typeUrl: VALIDATOR_TYPE,
    value: encodeMessage(SPIFFECertValidatorConfigSchema, config),
  };
  const customValidatorConfig = { name: 'envoy.tls.cert_validator.spiffe', typedConfig };
  return createMessage(SecretSchema, {
    type: { case: 'validationContext', value: { customValidatorConfig } },
  }).type;
}

function inline(text: string) {
  const value = Buffer.from(text, 'utf8');
  return { specifier: { case: 'inlineBytes' as const, value } };
}
