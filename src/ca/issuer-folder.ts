import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Issuer,
  loadIntermediate,
  loadIssuer,
  pemToDer,
  type SigningKey,
  type TrustDomain,
} from '#identity';
import { fail, ok, type Result } from '#lib';
import { EVENT, type Log } from '#telemetry';
import { caFolder } from './ca-folder.ts';
import type { KeyStore, NewKey } from './keys/key-store.ts';
import { makeSecretFolder, writeSecretFile } from './secret-file.ts';

/** An issuer on disk: the root that it stands under (base64 DER) and its files. */
export type Held = {
  readonly issuer: Issuer;
  readonly root: string;
  readonly key: string;
  readonly certificate: string;
};

/** The keys of issuers and their chains, on disk. */
export type IssuerFolder = {
  /** All but `known`. Throws, naming the file, on a key that cannot be used; passes over an intermediate that is not valid. */
  readonly readAll: (known: readonly Held[]) => readonly Held[];
  /** Writes a key and its certificate; an intermediate's is followed by those above it. Throws if they do not fit. */
  readonly keep: (made: NewKey, chainPem: string) => Held;
  readonly destroy: (held: Held) => void;
  /** Names of issuers that some trust root has named. */
  readonly readUsed: () => readonly string[];
  readonly writeUsed: (names: readonly string[]) => void;
};

const FOLDER = 'issuers';
const USED = 'used.json';

/** Opens the folder of an authority. */
export function openIssuerFolder(options: {
  readonly folder: string;
  readonly keys: KeyStore;
  readonly trustDomain: TrustDomain;
  readonly clock: () => number;
  readonly log: Log;
}): IssuerFolder {
  const { folder, keys, trustDomain, clock, log } = options;
  const more = join(folder, FOLDER);
  const usedFile = join(more, USED);

  function readHeld(key: string, certificate: string): Held | undefined {
    const issuer = readIssuer({ key, certificate }, keys, { trustDomain, nowMs: clock() });
    if (issuer.ok) return asHeld(issuer.value, key, certificate);
    const message = `\`${key}\` and \`${certificate}\`: ${issuer.error.message}`;
    if (!issuer.error.isIntermediate) throw new Error(message);
    // One that expired must not keep the authority from starting with its successor.
    log.warn(EVENT.issuerUnusable, { reason: message });
    return undefined;
  }

  function readUsed(): readonly string[] {
    return existsSync(usedFile) ? (JSON.parse(readFileSync(usedFile, 'utf8')) as string[]) : [];
  }

  return {
    readAll: (known) =>
      pathsIn(folder)
        .filter(({ key }) => !known.some((held) => held.key === key))
        .flatMap(({ key, certificate }) => readHeld(key, certificate) ?? []),
    keep(made, chainPem) {
      // What is of no use is not kept: it would be read, and refused, at each start.
      const fit = issuerOf(chainPem, made.key, { trustDomain, nowMs: clock() });
      if (!fit.ok) throw new Error(`what was signed for the authority's key: ${fit.error}`);
      const { key, certificate } = issuerPaths(folder, made.key.publicKeyDer);
      makeSecretFolder(more);
      // The key first: a certificate says that its key is there.
      made.save(key);
      writeSecretFile(certificate, chainPem);
      const held = readHeld(key, certificate);
      if (held === undefined) throw new Error(`\`${certificate}\` is of no use`);
      return held;
    },
    destroy({ key, certificate }) {
      keys.destroy(key);
      rmSync(certificate, { force: true });
    },
    readUsed,
    writeUsed(names) {
      if (names.join() === readUsed().join()) return;
      makeSecretFolder(more);
      writeSecretFile(usedFile, JSON.stringify(names));
    },
  };
}

/** The files of the issuer with this key (SubjectPublicKeyInfo); `request` until its certificate is there. */
export function issuerPaths(folder: string, publicKeyDer: Uint8Array) {
  const name = join(folder, FOLDER, hash('sha256', publicKeyDer, 'hex').slice(0, 32));
  return { key: `${name}.key`, certificate: `${name}.crt`, request: `${name}.csr` };
}

/** Reads a key and what certifies it: one self-signed certificate, or an intermediate and those above it. */
export function readIssuer(
  paths: { readonly key: string; readonly certificate: string },
  keys: KeyStore,
  about: { readonly trustDomain: TrustDomain; readonly nowMs: number },
): Result<Issuer, { readonly message: string; readonly isIntermediate: boolean }> {
  const key = keys.open(paths.key);
  const pem = read(paths.certificate);
  const issuer = issuerOf(pem, key, about);
  const isIntermediate = pemToDer(pem).length > 1;
  return issuer.ok ? ok(issuer.value) : fail({ message: issuer.error, isIntermediate });
}

/** What certificates (PEM) make of a key: a root, or an intermediate with those above it. */
export function issuerOf(
  pem: string,
  key: SigningKey,
  about: { readonly trustDomain: TrustDomain; readonly nowMs: number },
): Result<Issuer, string> {
  return pemToDer(pem).length > 1 ? loadIntermediate(pem, key, about) : loadIssuer(pem, key);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`\`${path}\` cannot be read`, { cause });
  }
}

function pathsIn(folder: string): readonly { key: string; certificate: string }[] {
  const { key, certificate } = caFolder(folder);
  const more = join(folder, FOLDER);
  const names = existsSync(more) ? readdirSync(more).sort() : [];
  return [
    // The first key is where version 0.1 put it, until it is retired.
    ...(existsSync(key) ? [{ key, certificate }] : []),
    ...names
      .filter((name) => /^[0-9a-f]{32}\.key$/.test(name))
      .map((name) => join(more, name))
      .map((path) => ({ key: path, certificate: path.replace(/\.key$/, '.crt') }))
      // Without one it waits for somebody to sign its request, or was made right before a crash.
      .filter((paths) => existsSync(paths.certificate)),
  ];
}

function asHeld(issuer: Issuer, key: string, certificate: string): Held {
  return { issuer, root: Buffer.from(issuer.rootDer).toString('base64'), key, certificate };
}
