// What a thief of a join token gets: certificates of the mesh's own processes, by the CA's own protocol.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { layoutOf, readTrustRoot } from '#client';
import {
  type Bundle,
  createCsr,
  createKeyPair,
  derToPem,
  parseBundle,
  parseSpiffeId,
  parseTrustDomain,
  verifyX509Svid,
} from '#identity';
import {
  createGrpcClient,
  type GrpcClient,
  type GrpcTarget,
  Issuance,
  type TlsMaterial,
} from '#wire';

/** What everybody in a mesh may know: its trust root. */
export type PublicTrust = { readonly bundle: Bundle; readonly rootsPem: readonly string[] };

/** Reads the mesh's public trust root. */
export function publicTrust(dataDir: string): PublicTrust {
  const root = readTrustRoot(layoutOf(dataDir));
  if (!root.ok) throw new Error(root.error);
  const trustDomain = parseTrustDomain(root.value.trustDomain);
  if (!trustDomain.ok) throw new Error(trustDomain.error);
  const rootsPem = root.value.x509Roots.map((der) => derToPem(Buffer.from(der, 'base64')));
  const bundle = parseBundle(trustDomain.value, rootsPem.join(''));
  if (!bundle.ok) throw new Error(bundle.error);
  return { bundle: bundle.value, rootsPem };
}

/** The join token of a role, as it lies in the data folder. */
export function joinToken(dataDir: string, role: 'agent' | 'control'): string {
  return readFileSync(join(dataDir, 'ca', `join-token-${role}`), 'utf8').trim();
}

/** A TLS target known by its SPIFFE ID, reached under `client` if given. */
export function targetOf(
  address: string,
  id: string,
  trust: PublicTrust,
  client?: TlsMaterial,
): GrpcTarget {
  return {
    kind: 'tls',
    address,
    rootsPem: trust.rootsPem,
    ...(client === undefined ? {} : { client }),
    verifyServer(chain) {
      const svid = verifyX509Svid(chain, trust.bundle, Date.now());
      if (!svid.ok) return svid.error.message;
      return svid.value.id.text === id ? undefined : `\`${svid.value.id.text}\` is not \`${id}\``;
    },
  };
}

/** A client of the CA under `client`'s certificate, or none. */
export function caClient(ca: string, trust: PublicTrust, client?: TlsMaterial): GrpcClient {
  const id = `spiffe://${trust.bundle.trustDomain}/palisade/ca`;
  return createGrpcClient(Issuance, targetOf(ca, id, trust, client));
}

/** A fresh key with a request for `id`. */
export function requestFor(id: string): {
  readonly csr: Uint8Array;
  readonly privateKeyPem: string;
} {
  const spiffeId = parseSpiffeId(id);
  if (!spiffeId.ok) throw new Error(spiffeId.error);
  const keys = createKeyPair();
  const privateKeyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { csr: createCsr({ ...keys, id: spiffeId.value }), privateKeyPem };
}

/** Enrols as `id`; rejects with the CA's status where it refuses. */
export async function enrol(
  of: { readonly ca: string; readonly trust: PublicTrust },
  id: string,
  token: string,
): Promise<TlsMaterial> {
  const { csr, privateKeyPem } = requestFor(id);
  const client = caClient(of.ca, of.trust);
  try {
    const { chain } = await client.unary(Issuance.method.enrol, { joinToken: token, csr });
    const chainPem = chain.map((der) => derToPem(der)).join('');
    return { chainPem, privateKeyPem, rootsPem: of.trust.rootsPem };
  } finally {
    client.close();
  }
}
