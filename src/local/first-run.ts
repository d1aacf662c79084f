import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { initializeCa } from '#ca';
import { type DataFolder, type MeshSettings, readMeshSettings, readTrustRoot } from '#client';
import { createSelfSignedClient, parseTrustDomain, pemToDer } from '#identity';
import { fail, ok, type Result } from '#lib';
import { createPolicyKey, loadSigner, signTrustRoot, type TrustRoot } from '#trust';
import { authorityKeys } from './authority-keys.ts';
import { makePrivateFolder, writeFileDurably } from './private-file.ts';

/** The trust domain of a mesh that nobody named, as Istio's. */
export const DEFAULT_TRUST_DOMAIN = 'cluster.local';

const ADMIN_TTL_MS = 10 * 365 * 86_400_000;

/**
 * Makes whatever keys `folder` still lacks: the CA's, the policy author's, the CLI's client certificate and, last, the
 * trust root that names them. Running it again changes nothing, also after a crash half-way. Resolves to the trust root.
 */
export function initializeMesh(options: {
  readonly folder: DataFolder;
  readonly trustDomain: string | undefined;
  readonly nowMs: number;
}): Result<TrustRoot, string> {
  const { folder, nowMs } = options;
  makePrivateFolder(folder.root);
  if (existsSync(folder.trustRoot)) return existingMesh(folder, options.trustDomain);
  const trustDomain = parseTrustDomain(options.trustDomain ?? DEFAULT_TRUST_DOMAIN);
  if (!trustDomain.ok) return trustDomain;
  const ca = initializeCa({
    folder: folder.ca.folder,
    trustDomain: trustDomain.value,
    nowMs,
    ...authorityKeys(process.env),
  });
  const author = initializeAuthor(folder);
  initializeAdmin(folder, nowMs);
  makePrivateFolder(folder.proxies);
  const trustRoot: TrustRoot = {
    version: 1,
    trustDomain: trustDomain.value,
    x509Roots: pemToDer(ca.rootPem).map((der) => Buffer.from(der).toString('base64')),
    policyKeys: [
      { keyId: author.keyId, publicKey: author.publicKey, name: author.name, namespaces: ['*'] },
    ],
    threshold: 1,
    issuanceLogKey: ca.logPublicKey,
    issuedAt: new Date(nowMs).toISOString(),
  };
  const signer = loadSigner(readFileSync(folder.author.key, 'utf8'));
  if (!signer.ok) return signer;
  // Written last: its presence says that everything it names exists.
  writeFileDurably(folder.trustRoot, JSON.stringify(signTrustRoot(trustRoot, [signer.value])));
  return ok(trustRoot);
}

/** Records where the processes of this mesh answer. */
export function writeMeshSettings(folder: DataFolder, settings: MeshSettings): void {
  writeFileDurably(folder.meshSettings, `${JSON.stringify(settings, null, 2)}\n`);
}

function existingMesh(
  folder: DataFolder,
  trustDomain: string | undefined,
): Result<TrustRoot, string> {
  const trustRoot = readTrustRoot(folder);
  if (!trustRoot.ok) return trustRoot;
  if (trustDomain !== undefined && trustRoot.value.trustDomain !== trustDomain) {
    return fail(
      `the mesh in \`${folder.root}\` has the trust domain \`${trustRoot.value.trustDomain}\`, not \`${trustDomain}\``,
    );
  }
  const settings = readMeshSettings(folder);
  if (settings.ok && settings.value.trustDomain !== trustRoot.value.trustDomain) {
    return fail(
      `\`${folder.meshSettings}\` and \`${folder.trustRoot}\` name different trust domains`,
    );
  }
  return trustRoot;
}

function initializeAuthor(folder: DataFolder): { keyId: string; publicKey: string; name: string } {
  makePrivateFolder(folder.author.folder);
  const name = userInfo().username;
  if (!existsSync(folder.author.key)) {
    writeFileDurably(folder.author.name, `${name}\n`);
    writeFileDurably(folder.author.key, createPolicyKey().privateKeyPem);
  }
  const signer = loadSigner(readFileSync(folder.author.key, 'utf8'));
  if (!signer.ok) throw new Error(`\`${folder.author.key}\` is not a policy key: ${signer.error}`);
  return { keyId: signer.value.keyId, publicKey: signer.value.publicKey, name };
}

function initializeAdmin(folder: DataFolder, nowMs: number): void {
  makePrivateFolder(folder.admin.folder);
  makePrivateFolder(folder.control.folder);
  if (existsSync(folder.control.admins)) return;
  const name = userInfo().username;
  const client = createSelfSignedClient({
    commonName: `palisade admin ${name}`,
    nowMs,
    ttlMs: ADMIN_TTL_MS,
  });
  writeFileDurably(folder.admin.key, client.privateKeyPem);
  writeFileDurably(folder.admin.certificate, client.certificatePem);
  writeFileDurably(
    folder.control.admins,
    JSON.stringify([{ name, fingerprint: client.fingerprint }]),
  );
}
