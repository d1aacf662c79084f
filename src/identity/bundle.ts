import { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import { decodeCertificate } from './certificate.ts';
import type { TrustAnchor } from './path.ts';
import { derToPem, pemToDer } from './pem.ts';
import { importPublicKey } from './public-key.ts';
import type { SpiffeId } from './spiffe-id.ts';
import type { TrustDomain } from './trust-domain.ts';

/** The X.509 roots that may vouch for one trust domain, and for no other. */
export type Bundle = {
  readonly trustDomain: TrustDomain;
  readonly x509Roots: readonly X509Certificate[];
};

/** A workload's own SVID with its key and the bundles to verify its peers by. */
export type WorkloadIdentity = {
  readonly id: SpiffeId;
  /** PKCS #8. SECURITY: never logged, never sent off the host. */
  readonly privateKeyPem: string;
  /** Leaf first, without the root. */
  readonly chainPem: string;
  readonly chainDer: readonly Uint8Array[];
  /** Lower-case hex. */
  readonly serial: string;
  /** Milliseconds since 1970, as `expiresAt`. */
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly bundles: readonly Bundle[];
  /** `requesterTag` of the agent that asked for it, where the certificate says so. */
  readonly requester?: string | undefined;
  /** Serial numbers of the intermediates on its path, where there are any. */
  readonly signers?: readonly string[] | undefined;
};

/** The bundle of the roots in `pem`; fails if there are none or one cannot serve as a root. */
export function parseBundle(trustDomain: TrustDomain, pem: string): Result<Bundle, string> {
  const roots: X509Certificate[] = [];
  for (const der of pemToDer(pem)) {
    const certificate = decodeCertificate(der);
    if (!certificate.ok) return fail(`a root of \`${trustDomain}\`: ${certificate.error}`);
    const root = new X509Certificate(der);
    if (anchorOf(root) === undefined) return fail(`a root of \`${trustDomain}\` has no usable key`);
    roots.push(root);
  }
  if (roots.length === 0) return fail(`the bundle of \`${trustDomain}\` holds no certificate`);
  return ok({ trustDomain, x509Roots: roots });
}

/** The roots as PEM blocks, one behind the other. */
export function bundlePem(bundle: Bundle): string {
  return bundle.x509Roots.map((root) => derToPem(root.raw)).join('');
}

const anchors = new WeakMap<X509Certificate, TrustAnchor | 'unusable'>();

/** The root made ready for verification, undefined if it is none; decoded once per object. */
export function anchorOf(root: X509Certificate): TrustAnchor | undefined {
  let anchor = anchors.get(root);
  if (anchor === undefined) {
    anchor = prepareAnchor(root) ?? 'unusable';
    anchors.set(root, anchor);
  }
  return anchor === 'unusable' ? undefined : anchor;
}

function prepareAnchor(root: X509Certificate): TrustAnchor | undefined {
  const certificate = decodeCertificate(root.raw);
  if (!certificate.ok) return undefined;
  const key = importPublicKey(certificate.value.spki);
  return key === undefined ? undefined : { certificate: certificate.value, key };
}
