import { readFileSync } from 'node:fs';
import {
  derToPem,
  type Issuer,
  issueIntermediate,
  loadIntermediate,
  loadIssuer,
  loadSigningKey,
  pemToDer,
  type TrustDomain,
} from '#identity';

/** Another authority that signs our intermediates without being asked each time. */
export type Upstream = {
  /** Its root, base64 DER: what a trust root names. The last one that was read; undefined where none could be yet. */
  readonly root: () => string | undefined;
  /** Throws, naming what is wrong, where it could not sign now. */
  readonly check: () => void;
  /** An intermediate of this key and all above it up to the root, PEM. Throws where it cannot sign. */
  readonly sign: (request: {
    readonly publicKeyDer: Uint8Array;
    readonly trustDomain: TrustDomain;
    readonly nowMs: number;
  }) => string;
};

/** Where such an authority's certificate (those above it behind it, the root last) and key lie, PEM. */
export type UpstreamFiles = { readonly certificate: string; readonly key: string };

/** SPIRE's default is a day; ours outlives a weekend without the upstream's files, since half of it is left at renewal. */
export const INTERMEDIATE_TTL_MS: number = 7 * 24 * 3_600_000;

/**
 * An upstream authority whose key is at hand, as SPIRE's `disk` plugin has it. The files are read for each signature, so
 * the key is not kept in memory, may be away in between, and both may be replaced.
 */
export function openUpstreamFiles(
  files: UpstreamFiles,
  about: { readonly trustDomain: TrustDomain; readonly clock: () => number },
): Upstream {
  let root: string | undefined;
  return {
    root() {
      try {
        const last = pemToDer(text(files.certificate)).at(-1);
        if (last !== undefined) root = Buffer.from(last).toString('base64');
      } catch {
        // Away, as its key may be: whoever has it sign hears of it.
      }
      return root;
    },
    check() {
      read(files, { trustDomain: about.trustDomain, nowMs: about.clock() });
    },
    sign({ publicKeyDer, trustDomain, nowMs }) {
      const issuer = read(files, { trustDomain, nowMs });
      const own = issueIntermediate({
        issuer,
        trustDomain,
        publicKeyDer,
        nowMs,
        ttlMs: INTERMEDIATE_TTL_MS,
      });
      const above = [...issuer.intermediates, issuer.rootDer];
      return [own, ...above].map((der) => derToPem(der)).join('');
    },
  };
}

function read(
  files: UpstreamFiles,
  about: { readonly trustDomain: TrustDomain; readonly nowMs: number },
): Issuer {
  const pem = text(files.certificate);
  const key = loadSigningKey(text(files.key));
  if (!key.ok) throw new Error(`\`${files.key}\`: ${key.error}`);
  const isRoot = pemToDer(pem).length === 1;
  const loaded = isRoot
    ? loadIssuer(pem, key.value)
    : loadIntermediate(pem, key.value, { ...about, isUnconstrained: true });
  if (!loaded.ok) throw new Error(`\`${files.certificate}\`: ${loaded.error}`);
  return loaded.value;
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`\`${path}\` cannot be read`, { cause });
  }
}
