import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  createAuthorityCsr,
  decodeSerial,
  derToPem,
  type Issuer,
  issueIntermediate,
  loadIntermediate,
  parseAuthorityCsr,
  parseTrustDomain,
  pemToDer,
  type TrustDomain,
} from '#identity';
import { fail, ok, type Result } from '#lib';
import { createSilentLog } from '#telemetry';
import type { TrustRoot } from '#trust';
import { caFolder } from './ca-folder.ts';
import { openDatabase } from './database.ts';
import { loadSecrets } from './initialize.ts';
import { certificateDigest, openIssuanceLog } from './issuance-log.ts';
import { issuerPaths, openIssuerFolder } from './issuer-folder.ts';
import { newestIssuer } from './issuers.ts';
import type { KeyDevice } from './keys/key-device.ts';
import { createKeyStore, type KeyStore } from './keys/key-store.ts';
import { openPolicy } from './policy.ts';
import type { Passphrase } from './sealed-file.ts';
import { makeSecretFolder, writeSecretFile } from './secret-file.ts';

// What an operator does by hand on the authority's host, beside the running process: ask another authority for an
// intermediate, take it in, and sign one for somebody below.

/** Whose folder, and how its keys are kept. */
export type AuthorityFolder = {
  readonly folder: string;
  readonly passphrase?: Passphrase;
  readonly keyDevice?: KeyDevice | undefined;
  /** As the data folder has it; the authority's own may be newer. */
  readonly trustRoot: TrustRoot;
  readonly nowMs: number;
};

/** An intermediate that was taken in. */
export type ImportedChain = {
  /** SHA-256 of the root that it leads to, lower-case hex. */
  readonly root: string;
  /** Whether the trust root names that root already: then it is used from now on, else after a rotation. */
  readonly isTrusted: boolean;
  readonly expiresAt: number;
};

/** Makes a key and a request for it (PEM), which lies beside the key until a chain is imported. Throws where it cannot. */
export function requestAuthority(of: AuthorityFolder): string {
  // SECURITY: where the folder is sealed this throws without its passphrase, and no key comes to lie there in the clear.
  loadSecrets(of.folder, of.passphrase);
  const { key, save } = keysOf(of).create();
  const csr = derToPem(createAuthorityCsr(key, domainOf(of)), 'CERTIFICATE REQUEST');
  const paths = issuerPaths(of.folder, key.publicKeyDer);
  makeSecretFolder(join(of.folder, 'issuers'));
  save(paths.key);
  writeSecretFile(paths.request, csr);
  return csr;
}

/** Takes in the chain (PEM: the intermediate first, the root last) that answers a request. Fails, saying why, if none does. */
export function importChain(of: AuthorityFolder, chainPem: string): Result<ImportedChain, string> {
  const [own] = pemToDer(chainPem);
  if (own === undefined) return fail('there is no certificate in it');
  const about = { trustDomain: domainOf(of), nowMs: of.nowMs };
  const keys = keysOf(of);
  let problem = 'no request of this authority waits for an answer: `palisade ca csr` makes one';
  for (const paths of waiting(of.folder)) {
    const issuer = loadIntermediate(chainPem, keys.open(paths.key), about);
    if (!issuer.ok) {
      problem = issuer.error;
      continue;
    }
    writeSecretFile(paths.certificate, chainPem);
    rmSync(paths.request, { force: true });
    const { rootDer, expiresAt } = issuer.value;
    const isTrusted = of.trustRoot.x509Roots.includes(Buffer.from(rootDer).toString('base64'));
    return ok({ root: certificateDigest(rootDer), isTrusted, expiresAt });
  }
  return fail(problem);
}

/**
 * Signs another authority's request with the issuer of now: an intermediate for the trust domain's SPIFFE IDs alone, for
 * leaves only. It is in the issuance log, on disk, before the chain (PEM) is returned.
 */
export function signRequest(
  of: AuthorityFolder,
  request: { readonly csrPem: string; readonly ttlMs: number },
): Result<string, string> {
  const [der] = pemToDer(request.csrPem, 'CERTIFICATE REQUEST');
  if (der === undefined) return fail('there is no certificate request in it');
  const parsed = parseAuthorityCsr(der);
  if (!parsed.ok) return fail(`the request: ${parsed.error}`);
  const { trustDomain, publicKeyDer } = parsed.value;
  if (trustDomain !== domainOf(of)) {
    return fail(`the request is of \`${trustDomain}\`, this authority of \`${domainOf(of)}\``);
  }
  if (request.ttlMs <= 0) return fail('it would be over at once: give it a time to live');
  const database = openDatabase(caFolder(of.folder).database);
  try {
    const policy = { database, trustRoot: of.trustRoot, clock: () => of.nowMs };
    const trustRoot = openPolicy({ ...policy, log: createSilentLog() }).trustRoot();
    const issuer = issuerOf(of, trustRoot);
    if (!issuer.ok) return issuer;
    const own = issueIntermediate({
      issuer: issuer.value,
      trustDomain,
      publicKeyDer,
      nowMs: of.nowMs,
      ttlMs: request.ttlMs,
    });
    openIssuanceLog(database).appendNow({
      timeMs: of.nowMs,
      spiffeId: `spiffe://${trustDomain}`,
      ...decodeSerial(own),
      selectors: [],
      requestedBy: '',
      allowedBy: 'operator',
      certificateSha256: certificateDigest(own),
    });
    const above = [...issuer.value.intermediates, issuer.value.rootDer];
    return ok([own, ...above].map((each) => derToPem(each)).join(''));
  } finally {
    database.close();
  }
}

function issuerOf(of: AuthorityFolder, trustRoot: TrustRoot): Result<Issuer, string> {
  const clock = () => of.nowMs;
  const about = { folder: of.folder, keys: keysOf(of), trustDomain: domainOf(of) };
  const held = openIssuerFolder({ ...about, clock, log: createSilentLog() }).readAll([]);
  const issuer = newestIssuer(held, trustRoot, of.nowMs);
  if (issuer === undefined) return fail('no key of this authority is valid now');
  // Its own certificate says path length 0: what stands below it would verify nowhere.
  if (issuer.intermediates.length > 0) return fail('an intermediate cannot sign another one');
  return ok(issuer);
}

/** Keys without a certificate: those whose request somebody is to sign. */
function waiting(folder: string) {
  const path = join(folder, 'issuers');
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith('.csr'))
    .map((name) => parseAuthorityCsr(readRequest(join(path, name))))
    .flatMap((csr) => (csr.ok ? [issuerPaths(folder, csr.value.publicKeyDer)] : []));
}

function readRequest(path: string): Uint8Array {
  return pemToDer(readFileSync(path, 'utf8'), 'CERTIFICATE REQUEST')[0] ?? new Uint8Array();
}

function keysOf({ passphrase, keyDevice }: AuthorityFolder): KeyStore {
  return createKeyStore({ passphrase, device: keyDevice });
}

function domainOf({ trustRoot }: AuthorityFolder): TrustDomain {
  const parsed = parseTrustDomain(trustRoot.trustDomain);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
