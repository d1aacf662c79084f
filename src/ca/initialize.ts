import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRoot, loadIssuer, parseTrustDomain } from '#identity';
import { createPolicyKey, loadSigner, type PolicySigner } from '#trust';
import { type Passphrase, readSealed, writeSealed } from './sealed-file.ts';
import { makeSecretFolder, writeSecretFile } from './secret-file.ts';

/** Where an authority keeps what it owns; all of mode 0600. */
export type CaFolder = {
  readonly key: string;
  readonly certificate: string;
  readonly logKey: string;
  readonly jwtKeys: string;
  readonly database: string;
  readonly revocations: string;
  readonly crl: string;
  /** How the control plane's audit log stood when this authority signed it last. */
  readonly auditWitness: string;
  readonly joinTokenAgent: string;
  readonly joinTokenControl: string;
};

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

const ROOT_TTL_MS = 10 * 365 * 24 * 3_600_000;

/** The paths of an authority's files in `folder`. */
export function caFolder(folder: string): CaFolder {
  return {
    key: join(folder, 'ca.key'),
    certificate: join(folder, 'ca.crt'),
    logKey: join(folder, 'log.key'),
    jwtKeys: join(folder, 'jwt-keys.json'),
    database: join(folder, 'ca.db'),
    revocations: join(folder, 'revocations.jsonl'),
    crl: join(folder, 'crl.pem'),
    auditWitness: join(folder, 'audit-witness.json'),
    joinTokenAgent: join(folder, 'join-token-agent'),
    joinTokenControl: join(folder, 'join-token-control'),
  };
}

/**
 * Makes the authority's keys and join tokens on first run; later runs, also after a crash half-way, keep what is there.
 * Throws when the folder cannot be written or holds something else.
 */
export function initializeCa(
  folder: string,
  trustDomain: string,
  nowMs: number,
  passphrase?: Passphrase,
): CaPublicParts {
  const paths = caFolder(folder);
  makeSecretFolder(folder);
  if (!existsSync(paths.key)) createSecrets(paths, { trustDomain, nowMs, passphrase });
  const issuer = loadIssuer(read(paths.certificate), readSealed(paths.key, passphrase));
  if (!issuer.ok) throw new Error(`\`${paths.key}\` and \`${paths.certificate}\`: ${issuer.error}`);
  const { logSigner } = loadSecrets(folder, passphrase);
  return { rootPem: issuer.value.certificatePem, logPublicKey: logSigner.publicKey };
}

/** Reads what `initializeCa` made; throws, naming the file, if it is missing or damaged. */
export function loadSecrets(folder: string, passphrase?: Passphrase): CaSecrets {
  const paths = caFolder(folder);
  const logSigner = loadSigner(readSealed(paths.logKey, passphrase));
  if (!logSigner.ok) throw new Error(`\`${paths.logKey}\`: ${logSigner.error}`);
  return {
    logSigner: logSigner.value,
    joinTokens: { agent: token(paths.joinTokenAgent), control: token(paths.joinTokenControl) },
  };
}

function createSecrets(
  paths: CaFolder,
  options: {
    readonly trustDomain: string;
    readonly nowMs: number;
    readonly passphrase: Passphrase;
  },
): void {
  const { trustDomain, nowMs, passphrase } = options;
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) throw new Error(parsed.error);
  const root = createRoot({ trustDomain: parsed.value, nowMs, ttlMs: ROOT_TTL_MS });
  writeSealed(paths.logKey, createPolicyKey().privateKeyPem, passphrase);
  writeSecretFile(paths.joinTokenAgent, `${randomBytes(32).toString('base64url')}\n`);
  writeSecretFile(paths.joinTokenControl, `${randomBytes(32).toString('base64url')}\n`);
  writeSecretFile(paths.certificate, root.certificatePem);
  // Last, for its presence says that all the others are there.
  const pem = root.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  writeSealed(paths.key, pem, passphrase);
}

function token(path: string): string {
  const text = read(path).trim();
  // SECURITY: an empty file must not become a token that everybody knows.
  if (text.length < 32)
    throw new Error(`\`${path}\` holds no join token of at least 32 characters`);
  return text;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`\`${path}\` cannot be read`, { cause });
  }
}
