import { parseSpiffeBundle, parseSpiffeId, parseTrustDomain } from '#identity';
import type { Problem } from './diagnostic.ts';
import type { Metadata } from './metadata.ts';
import { entry, type MapNode } from './node.ts';
import {
  type Context,
  type ObjectOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  required,
  text,
} from './schema.ts';

/**
 * A foreign trust domain whose workloads can be authenticated here. What they may do is for policy to say; fields as in
 * SPIRE's ClusterFederatedTrustDomain.
 */
export type TrustDomainFederationResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'TrustDomainFederation';
  readonly metadata: Metadata;
  readonly spec: TrustDomainFederationSpec;
};

/** Where its bundle comes from, and the one to begin with. */
export type TrustDomainFederationSpec = {
  readonly trustDomain: string;
  /** Absent: `trustDomainBundle` is all there is, until somebody changes it. */
  readonly bundleEndpointURL?: string;
  readonly bundleEndpointProfile?: BundleEndpointProfile;
  /** A SPIFFE bundle document, JSON text. */
  readonly trustDomainBundle?: string;
};

/** How the endpoint proves itself: by the web's authorities, or as a SPIFFE ID. */
export type BundleEndpointProfile = {
  readonly type: 'https_web' | 'https_spiffe';
  readonly endpointSPIFFEID?: string;
};

const trustDomain = text((value, _node, context) => {
  const parsed = parseTrustDomain(value);
  if (!parsed.ok) return bad(parsed.error, 'write for example `partner.example`');
  // SECURITY: a foreign authority must never vouch for an identity of ours.
  if (value !== context.trustDomain) return undefined;
  return bad(`${quote(value)} is this mesh's own trust domain`, 'name the foreign one');
});

const endpointUrl = text((value) => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  // SPIFFE Federation 5.2.1.1 and 5.2.2.1.
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return undefined;
  return bad(
    `${quote(value)} is not the URL of a bundle endpoint`,
    'write an `https://` URL without user name, for example `https://partner.example/bundle`',
  );
});

const endpointId = text((value) => {
  const parsed = parseSpiffeId(value);
  return parsed.ok
    ? undefined
    : bad(parsed.error, 'write for example `spiffe://partner.example/bundle`');
});

const profile = object(
  'bundleEndpointProfile',
  {
    type: required(oneOf(['https_web', 'https_spiffe']), 'write `https_web` or `https_spiffe`'),
    endpointSPIFFEID: optional(endpointId),
  },
  (value, node, context) => {
    const isSpiffe = value.type === 'https_spiffe';
    if (value.type === undefined || isSpiffe === (value.endpointSPIFFEID !== undefined)) return;
    context.report.error(entry(node, 'type')?.value.range ?? node.range, {
      code: isSpiffe ? 'missing_field' : 'bad_value',
      message: isSpiffe
        ? '`https_spiffe` needs to know who the endpoint is'
        : '`https_web` knows an endpoint by its host name alone',
      help: isSpiffe ? 'add `endpointSPIFFEID`' : 'remove `endpointSPIFFEID`',
    });
  },
);

const fields = {
  trustDomain: required(trustDomain, 'name the foreign trust domain'),
  bundleEndpointURL: optional(endpointUrl),
  bundleEndpointProfile: optional(profile),
  trustDomainBundle: optional(text()),
};

/** Reads the spec of a TrustDomainFederation. */
export const readTrustDomainFederationSpec: Reader<TrustDomainFederationSpec> = object(
  'a TrustDomainFederation',
  fields,
  checkTogether,
);

function checkTogether(
  value: Partial<ObjectOf<typeof fields>>,
  node: MapNode,
  context: Context,
): void {
  const at = (name: string) => entry(node, name)?.value.range ?? node.range;
  const { bundleEndpointURL, bundleEndpointProfile, trustDomainBundle } = value;
  const bundle = bundleProblem(value.trustDomain, trustDomainBundle);
  if (bundle !== undefined) context.report.error(at('trustDomainBundle'), bundle);
  if ((bundleEndpointURL === undefined) !== (bundleEndpointProfile === undefined)) {
    context.report.error(node.range, {
      code: 'missing_field',
      message: '`bundleEndpointURL` and `bundleEndpointProfile` go together',
      help: 'write both, or neither and a `trustDomainBundle`',
    });
  }
  const first = firstBundleProblem(value);
  if (first !== undefined) context.report.error(node.range, first);
}

function bundleProblem(
  domain: string | undefined,
  document: string | undefined,
): Problem | undefined {
  const name = parseTrustDomain(domain ?? '');
  if (!name.ok || document === undefined) return undefined;
  const parsed = parseSpiffeBundle(name.value, Buffer.from(document, 'utf8'));
  if (parsed.ok) return undefined;
  return bad(
    parsed.error,
    "paste what the trust domain's bundle endpoint answers, as text after `|`",
  );
}

/** Federation 5.2.2.2: an endpoint that serves its own trust domain is first known by a bundle given here. */
function firstBundleProblem(value: Partial<ObjectOf<typeof fields>>): Problem | undefined {
  if (value.trustDomainBundle !== undefined) return undefined;
  const id = parseSpiffeId(value.bundleEndpointProfile?.endpointSPIFFEID ?? '');
  const isSelfServing = id.ok && id.value.trustDomain === value.trustDomain;
  if (value.bundleEndpointURL !== undefined && !isSelfServing) return undefined;
  return {
    code: 'missing_field',
    message: '`trustDomainBundle` is missing, without which nothing of the trust domain is known',
    help: 'paste a bundle that you got by a way you trust, as text after `|`',
  };
}

function bad(message: string, help: string): Problem {
  return { code: 'bad_value', message, help };
}
