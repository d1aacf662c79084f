import { type Bundle, encodeJwks, type JwtBundle, type SpiffeBundle } from '#identity';
import type { Source } from '#lib';
import type { JwtKeySet } from '#trust';
import type { X509Trust } from './trusted-root.ts';

/** The bundles of our own trust domain and of those it federates with. */
export type Bundles = {
  readonly x509: () => readonly Bundle[];
  /** Undefined until our own is known. */
  readonly jwt: () => readonly JwtBundle[] | undefined;
  /** Changes whenever one of them does. */
  readonly revision: () => number;
  /** Calls `listener` after each change until the returned function is called. */
  readonly onChange: (listener: () => void) => () => void;
  readonly close: () => void;
};

/** Where bundles come from. */
export type BundleSources = {
  readonly trust: Source<X509Trust>;
  readonly jwtKeys: Source<JwtKeySet | undefined>;
  readonly foreign: Source<readonly SpiffeBundle[]>;
};

/**
 * Puts the bundles together, our own first. INVARIANT: each trust domain's keys stay in its own bundle, and what came
 * from elsewhere is never our own's.
 */
export function createBundles(sources: BundleSources): Bundles {
  const { trust, jwtKeys, foreign } = sources;
  const own = () => trust.current().bundle.trustDomain;
  const others = () => foreign.current().filter(({ trustDomain }) => trustDomain !== own());
  const listeners = new Set<() => void>();
  let revision = 0;
  const changed = () => {
    revision++;
    for (const listener of Array.from(listeners)) listener();
  };
  const stops = [trust, jwtKeys, foreign].map((source) => source.onChange(changed));
  return {
    x509: () => [trust.current().bundle, ...others().flatMap(({ x509 }) => x509 ?? [])],
    jwt() {
      const keys = jwtKeys.current()?.keys;
      if (keys === undefined) return undefined;
      const bundle = { trustDomain: own(), keys: new Map(keys.map((key) => [key.kid, key])) };
      return [bundle, ...others().flatMap(({ jwt }) => (jwt.keys.size === 0 ? [] : [jwt]))];
    },
    revision: () => revision,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      for (const stop of stops) stop();
    },
  };
}

/** X.509 roots as the Workload API hands them out: DER, one behind the other. */
export function concatenatedRoots(bundle: Bundle): Uint8Array {
  return Buffer.concat(bundle.x509Roots.map((root) => root.raw));
}

/** JWT bundles as the Workload API hands them out, by the SPIFFE ID of the trust domain. */
export function jwksByTrustDomain(bundles: readonly JwtBundle[]): Record<string, Uint8Array> {
  return Object.fromEntries(
    bundles.map(({ trustDomain, keys }) => [
      `spiffe://${trustDomain}`,
      Buffer.from(encodeJwks([...keys.values()]), 'utf8'),
    ]),
  );
}
