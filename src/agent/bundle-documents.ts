import { encodeJwks, encodeSpiffeBundle, type JwtKey, parseJwk } from '#identity';

/** The documents of a bundle endpoint. */
export type BundleDocuments = {
  /** Our own trust domain's X.509 roots, DER. */
  readonly setRoots: (trustDomain: string, roots: readonly Uint8Array[]) => void;
  /** JWK Sets by the SPIFFE ID of the trust domain, as FetchJWTBundles answers. */
  readonly setJwtBundles: (bundles: Readonly<Record<string, Uint8Array>>) => void;
  /** The document at the path of a URL; `later` while it is not known, undefined where there is none. */
  readonly named: (url: string) => string | 'later' | undefined;
};

// SPIFFE Federation 4.1: keys are published half a day before they sign, which is many times this.
const REFRESH_HINT_SECONDS = 300;
const WELL_KNOWN = '/.well-known/openid-configuration';

/** Makes them of what the Workload API says; the sequence grows with each change, also over restarts. */
export function createBundleDocuments(options: {
  /** An `https` URL without query and final slash; its path, where it has one, stands before those of its documents. */
  readonly issuer: string | undefined;
  /** Unix milliseconds. */
  readonly clock: () => number;
}): BundleDocuments {
  const { issuer, clock } = options;
  const below = pathOf(issuer ?? '');
  let roots: readonly Uint8Array[] | undefined;
  let bundles: Readonly<Record<string, Uint8Array>> | undefined;
  let own = '';
  let keys: readonly JwtKey[] | undefined;
  let sequence = 0;
  let spiffe: string | undefined;
  let said = '';

  function compose(): void {
    // INVARIANT: what is published is our own trust domain's alone, never that of one we federate with.
    const set = bundles?.[`spiffe://${own}`];
    if (set !== undefined) keys = keysOf(set);
    if (roots === undefined || keys === undefined) return;
    const content = { x509Roots: roots, jwtKeys: keys, refreshHintSeconds: REFRESH_HINT_SECONDS };
    const now = encodeSpiffeBundle({ ...content, sequence: 0 });
    if (now === said) return;
    said = now;
    sequence = Math.max(sequence + 1, Math.floor(clock() / 1000));
    spiffe = encodeSpiffeBundle({ ...content, sequence });
  }

  function discovery(at: string): string {
    return JSON.stringify({
      issuer: at,
      jwks_uri: `${at}/keys`,
      authorization_endpoint: '',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    });
  }

  return {
    setRoots(trustDomain, next) {
      own = trustDomain;
      roots = next;
      compose();
    },
    setJwtBundles(next) {
      bundles = next;
      compose();
    },
    named(url) {
      const path = url.split('?', 1)[0];
      if (path === '/' || path === '/bundle') return spiffe ?? 'later';
      if (path === '/keys' || path === `${below}/keys`)
        return keys === undefined ? 'later' : encodeJwks(keys, 'sig');
      // OpenID Connect Discovery 1.0 section 4.1: behind the issuer's path; at the root for who has a proxy cut it off.
      const isDiscovery = path === WELL_KNOWN || path === `${below}${WELL_KNOWN}`;
      if (isDiscovery && issuer !== undefined) return discovery(issuer);
      return undefined;
    },
  };
}

function pathOf(issuer: string): string {
  return URL.canParse(issuer) ? new URL(issuer).pathname.replace(/\/$/, '') : '';
}

function keysOf(jwks: Uint8Array): readonly JwtKey[] {
  const { keys } = JSON.parse(Buffer.from(jwks).toString()) as { readonly keys: readonly object[] };
  return keys.flatMap((jwk) => parseJwk(jwk as Record<string, unknown>) ?? []);
}
