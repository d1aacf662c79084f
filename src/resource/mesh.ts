import { parseTrustDomain } from '#identity';
import { PATH_NORMALIZATIONS, type PathNormalization } from '#lib';
import { duration } from './duration-field.ts';
import { type ExtensionProvider, readExtensionProvider } from './extension-provider.ts';
import type { Metadata } from './metadata.ts';
import { child } from './node.ts';
import {
  type Context,
  defaulted,
  integer,
  listOf,
  type ObjectOf,
  object,
  oneOf,
  optional,
  quote,
  type Reader,
  text,
} from './schema.ts';

/** The mesh's own settings: one resource, named `mesh`, in the root namespace. */
export type MeshResource = {
  readonly apiVersion: 'palisade.dev/v1';
  readonly kind: 'Mesh';
  readonly metadata: Metadata;
  readonly spec: MeshSpec;
};

/** What happens where no policy says otherwise. */
export type MeshSpec = {
  /** What JWT-SVIDs name as their issuer, for validators that know issuers by OpenID Connect. */
  readonly jwtIssuer?: string;
  readonly trustDomain: string;
  /** Other names of the trust domain, which principals of policies may use. */
  readonly trustDomainAliases?: readonly string[];
  /** How many proxies in front, whose last entries of `x-forwarded-for` are left aside for `remote.ip`. */
  readonly numTrustedProxies?: number;
  /** Whom policies with the action CUSTOM ask. */
  readonly extensionProviders?: readonly ExtensionProvider[];
  /** The verdict for a workload that no ALLOW policy applies to. */
  readonly defaultAction: 'deny' | 'allow';
  readonly staleness: MeshStaleness;
  readonly peerAuthentication: {
    readonly mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
    /** The least that a PeerAuthentication of a namespace can ask for. */
    readonly minimum?: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  };
  readonly reauthorization: MeshReauthorization;
  readonly tls: MeshTls;
  /** How paths are brought into one form, for Services that do not say. */
  readonly pathNormalization: PathNormalization;
};

/** How long an enforcement point may go without news (a duration), and what it does after that. */
type MeshStaleness = { readonly budget: string; readonly then: 'enforce' | 'deny' };

/** Whether a plain request that a change of policy no longer allows may finish, and within which time (a duration). */
type MeshReauthorization = { readonly requests: 'finish' | 'cut'; readonly within: string };
/** Whether peers that know no post-quantum key exchange (X25519MLKEM768) may still connect. */
type MeshTls = { readonly keyExchange: 'prefer-hybrid' | 'require-hybrid' };

/** The trust domain of a mesh that names none. */
export const DEFAULT_TRUST_DOMAIN = 'cluster.local';

const MINUTE_MS = 60_000;
const YEAR_MS = 365 * 24 * 60 * MINUTE_MS;
// oxlint-disable-next-line unicorn/no-thenable -- the field's public name; nothing awaits a spec
const DEFAULT_STALENESS: MeshStaleness = { budget: '72h', then: 'enforce' };
const DEFAULT_REAUTHORIZATION: MeshReauthorization = { requests: 'finish', within: '5s' };

const trustDomain = text((value) => {
  const parsed = parseTrustDomain(value);
  return parsed.ok
    ? undefined
    : {
        code: 'bad_value',
        message: parsed.error,
        help: 'write for example `cluster.local` or `example.org`',
      };
});

const staleness = object('staleness', {
  budget: defaulted(duration(MINUTE_MS, YEAR_MS), () => DEFAULT_STALENESS.budget),
  // oxlint-disable-next-line unicorn/no-thenable -- as above
  then: defaulted(oneOf(['enforce', 'deny']), () => DEFAULT_STALENESS.then),
});

const peerAuthentication = object('peerAuthentication', {
  mode: defaulted(oneOf(['STRICT', 'PERMISSIVE', 'DISABLE']), () => 'STRICT' as const),
  minimum: optional(oneOf(['STRICT', 'PERMISSIVE', 'DISABLE'])),
});

const reauthorization = object('reauthorization', {
  requests: defaulted(oneOf(['finish', 'cut']), () => DEFAULT_REAUTHORIZATION.requests),
  within: defaulted(duration(1, 10 * MINUTE_MS), () => DEFAULT_REAUTHORIZATION.within),
});

const DEFAULT_TLS: MeshTls = { keyExchange: 'prefer-hybrid' };

const tls = object('tls', {
  keyExchange: defaulted(oneOf(['prefer-hybrid', 'require-hybrid']), () => DEFAULT_TLS.keyExchange),
});

/**
 * Whether JWT-SVIDs may name this as their issuer: `https`, neither query nor fragment (OpenID Connect Discovery 1.0 section
 * 3), and no final slash, since validators compare letter by letter and append the paths of documents.
 */
export function isTokenIssuer(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isIssuer = url?.protocol === 'https:' && !/[?#\s]/.test(value) && url.username === '';
  return isIssuer && !value.endsWith('/');
}

const issuer = text((value) => {
  return isTokenIssuer(value)
    ? undefined
    : {
        code: 'bad_value',
        message: `${quote(value)} is not an issuer`,
        help: 'write an `https://` URL without query and final slash',
      };
});

const fields = {
  jwtIssuer: optional(issuer),
  trustDomain: defaulted(
    trustDomain,
    (context: Context) => context.trustDomain ?? DEFAULT_TRUST_DOMAIN,
  ),
  trustDomainAliases: optional(listOf(trustDomain, { maxItems: 32 })),
  numTrustedProxies: optional(integer(0, 16)),
  extensionProviders: optional(listOf(readExtensionProvider, { maxItems: 32 })),
  defaultAction: defaulted(oneOf(['deny', 'allow']), () => 'deny' as const),
  staleness: defaulted(staleness, () => DEFAULT_STALENESS),
  peerAuthentication: defaulted(peerAuthentication, () => ({ mode: 'STRICT' as const })),
  reauthorization: defaulted(reauthorization, () => DEFAULT_REAUTHORIZATION),
  tls: defaulted(tls, () => DEFAULT_TLS),
  pathNormalization: defaulted(oneOf(PATH_NORMALIZATIONS), () => 'STRICT' as const),
};

/** Reads the spec of a Mesh. */
export const readMeshSpec: Reader<MeshSpec> = object('a Mesh', fields, checkTrustDomain);

function checkTrustDomain(
  value: Partial<ObjectOf<typeof fields>>,
  node: Parameters<typeof child>[0],
  context: Context,
): void {
  const written = child(node, 'trustDomain');
  if (
    written === undefined ||
    context.trustDomain === undefined ||
    value.trustDomain === context.trustDomain
  )
    return;
  context.report.error(written.range, {
    code: 'trust_domain_mismatch',
    message: `the trust domain of this mesh is ${quote(context.trustDomain)} and cannot change`,
    help: 'every identity in the mesh holds its name: start a new mesh to change it',
  });
}
