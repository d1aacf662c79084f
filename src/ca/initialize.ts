import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRoot, derToPem, parseTrustDomain, type TrustDomain } from '#identity';
import { createPolicyKey, loadSigner, type PolicySigner } from '#trust';
import { type CaFolder, caFolder } from './ca-folder.ts';
import { issuerOf, readIssuer } from './issuer-folder.ts';
import { ROOT_TTL_MS } from './issuers.ts';
import type { KeyDevice } from './keys/key-device.ts';
import { createKeyStore, type KeyStore } from './keys/key-store.ts';
import { type Passphrase, readSealed, writeSealed } from './sealed-file.ts';
import { makeSecretFolder, writeSecretFile } from './secret-file.ts';
import { openUpstreamFiles, type UpstreamFiles } from './upstream.ts';

/** What a trust root says of an authority. */
export type CaPublicParts = {
  readonly rootPem: string;
  /** The issuance log's public key: base64 SPKI DER, Ed25519. */
  readonly logPublicKey: string;
};

/** An authority's secrets, in memory. SECURITY: never logged. */
export type CaSecrets = {
  readonly logSigner: PolicySigner & { readonly publicKey: string };
  readonly joinTokens: { readonly agent: string; readonly control: string };
};

/** How an authority's keys are kept, and who certifies them. */
export type InitializeOptions = {
  readonly folder: string;
  readonly trustDomain: string;
  readonly nowMs: number;
  readonly passphrase?: Passphrase;
  /** Where its issuing key is made and stays. */
  readonly keyDevice?: KeyDevice | undefined;
  /** Whose intermediate it is to be; a root of its own unless told. */
  readonly upstream?: UpstreamFiles | undefined;
};

/**
 * Makes the authority's keys and join tokens on first run; later runs, also after a crash half-way, keep what is there.
 * Throws when the folder cannot be written or holds something else.
 */
export function initializeCa(options: InitializeOptions): CaPublicParts {
  const { folder, nowMs, passphrase, keyDevice } = options;
  const paths = caFolder(folder);
  const trustDomain = parseTrustDomain(options.trustDomain);
  if (!trustDomain.ok) throw new Error(trustDomain.error);
  makeSecretFolder(folder);
  const keys = createKeyStore({ passphrase, device: keyDevice });
  const about = { trustDomain: trustDomain.value, nowMs };
  if (!existsSync(paths.key)) createSecrets(paths, { ...options, ...about, keys });
  const issuer = readIssuer(paths, keys, about);
  if (!issuer.ok) {
    throw new Error(`\`${paths.key}\` and \`${paths.certificate}\`: ${issuer.error.message}`);
  }
  const { logSigner } = loadSecrets(folder, passphrase);
  return { rootPem: derToPem(issuer.value.rootDer), logPublicKey: logSigner.publicKey };
}

/** Reads what `initializeCa` made; throws, naming the file, if it is missing or damaged. */
export function loadSecrets(folder: string, passphrase?: Passphrase): CaSecrets {
  const paths = caFolder(folder);
  const logSigner = loadSigner(readSealed(paths.logKey, passphrase));
  if (!logSigner.ok) throw new Error(`\`${paths.logKey}\`: ${logSigner.error}`);
  return {
    logSigner: logSigner.value,
    joinTokens: {
      agent: readJoinToken(paths.joinTokenAgent, passphrase),
      control: readJoinToken(paths.joinTokenControl, passphrase),
    },
  };
}

function createSecrets(
  paths: CaFolder,
  options: Omit<InitializeOptions, 'trustDomain'> & {
    readonly trustDomain: TrustDomain;
    readonly keys: KeyStore;
  },
): void {
  const { trustDomain, nowMs, passphrase, upstream } = options;
  writeSealed(paths.logKey, createPolicyKey().privateKeyPem, passphrase);
  for (const path of [paths.joinTokenAgent, paths.joinTokenControl]) {
    writeSealed(path, `${randomBytes(32).toString('base64url')}\n`, passphrase);
  }
  const { key, save } = options.keys.create();
  const request = { publicKeyDer: key.publicKeyDer, trustDomain, nowMs };
  const chainPem =
    upstream === undefined
      ? createRoot({ trustDomain, nowMs, ttlMs: ROOT_TTL_MS, key }).certificatePem
      : openUpstreamFiles(upstream, { trustDomain, clock: () => nowMs }).sign(request);
  const fit = issuerOf(chainPem, key, { trustDomain, nowMs });
  // Before anything says that the authority is made: once the upstream is mended, the next start goes on here.
  if (!fit.ok) throw new Error(`what was signed for the authority's key: ${fit.error}`);
  writeSecretFile(paths.certificate, chainPem);
  // Last, for its presence says that all the others are there.
  save(paths.key);
}

/** The join token in a file, sealed or not; throws, naming the file, where there is none. */
export function readJoinToken(path: string, passphrase: Passphrase): string {
  const text = readSealed(path, passphrase).trim();
  // SECURITY: an empty file must not become a token that everybody knows.
  if (text.length < 32)
    throw new Error(`\`${path}\` holds no join token of at least 32 characters`);
  return text;
}
