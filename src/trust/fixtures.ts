// A small mesh for the tests of this layer: keys, a trust root, resources, and what an honest author signs.
import {
  createCommit,
  createPolicyKey,
  loadSigner,
  type PolicySet,
  type PolicySetUpdate,
  type PolicySigner,
  type TrustRoot,
  type VerifiedHead,
} from './index.ts';

/** The fake clock's first instant. */
export const NOW_MS = Date.parse('2026-05-01T12:00:00.000Z');

/** A signer with what a trust root says of it. */
export type Author = {
  readonly signer: PolicySigner;
  readonly entry: TrustRoot['policyKeys'][number];
};

/** A new author whose key may sign for `namespaces`. */
export function createAuthor(name: string, namespaces: readonly string[]): Author {
  const key = createPolicyKey();
  const signer = loadSigner(key.privateKeyPem);
  if (!signer.ok) throw new Error(signer.error);
  return {
    signer: signer.value,
    entry: { keyId: key.keyId, publicKey: key.publicKey, name, namespaces },
  };
}

/** A trust root of these authors. */
export function trustRootOf(authors: readonly Author[], more: Partial<TrustRoot> = {}): TrustRoot {
  return {
    version: 1,
    trustDomain: 'example.org',
    x509Roots: [Buffer.from('a root').toString('base64')],
    policyKeys: authors.map((author) => author.entry),
    threshold: 1,
    issuanceLogKey: createPolicyKey().publicKey,
    issuedAt: new Date(NOW_MS).toISOString(),
    ...more,
  };
}

/** A resource of the shape every kind has. */
export function resource(name: string, spec: unknown = {}, namespace = 'shop', kind = 'Service') {
  return { apiVersion: 'palisade.dev/v1', kind, metadata: { name, namespace }, spec };
}

/** Resources by their keys. */
export function resourcesOf(list: readonly ReturnType<typeof resource>[]): Map<string, unknown> {
  return new Map(list.map((item) => [`${item.kind}/${item.metadata.name}`, item]));
}

/** Signs `resources` as the next state of namespace `shop`. */
export function commitOf(
  author: Author,
  parent: VerifiedHead | PolicySet | undefined,
  resources: ReadonlyMap<string, unknown>,
  more: Partial<Parameters<typeof createCommit>[0]> = {},
) {
  return createCommit({
    trustDomain: 'example.org',
    namespace: 'shop',
    parent: parent !== undefined && 'head' in parent ? parent.head : parent,
    resources,
    author: author.entry.name,
    nowMs: NOW_MS,
    ttlMs: 3_600_000,
    signer: author.signer,
    ...more,
  });
}

/** The whole set as an update. */
export function fullOf(
  envelope: unknown,
  resources: ReadonlyMap<string, unknown>,
): PolicySetUpdate {
  return { namespace: 'shop', commits: [envelope], full: true, changes: changesOf(resources) };
}

/** Every resource as a change. */
export function changesOf(resources: ReadonlyMap<string, unknown>): PolicySetUpdate['changes'] {
  return Array.from(resources, ([key, value]) => ({ key, resource: value }));
}
