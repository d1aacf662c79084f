import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createRoot, type Issuer, loadIssuer, parseTrustDomain } from '#identity';
import { EVENT, type Log } from '#telemetry';
import type { TrustRoot } from '#trust';
import { caFolder } from './initialize.ts';
import { type Passphrase, readSealed, writeSealed } from './sealed-file.ts';
import { makeSecretFolder, writeSecretFile } from './secret-file.ts';

/**
 * The keys that an authority may issue under. Which of them it uses is not its own choice: the first root of the trust
 * root whose key it has. So authors rotate it, step by step, by signing successors of the trust root, and whoever was
 * killed half-way goes on where the trust root says.
 */
export type Issuers = {
  readonly active: () => Issuer;
  /** The issuer that no trust root has named yet; made, and on disk, when this is called the first time. */
  readonly next: () => Issuer;
  /** After the trust root changed: destroys the keys of roots that were trusted before and are no more. */
  readonly settle: () => void;
};

/** What opening takes; `trustRoot` is the newest one. */
export type IssuersOptions = {
  readonly folder: string;
  readonly passphrase?: Passphrase;
  readonly trustRoot: () => TrustRoot;
  readonly clock: () => number;
  readonly log: Log;
};

type Held = { readonly issuer: Issuer; readonly root: string; readonly files: readonly string[] };

const ROOT_TTL_MS = 10 * 365 * 24 * 3_600_000;

/** Reads all keys there are; throws, naming the file, if one is damaged, or none is of a trusted root. */
export function openIssuers(options: IssuersOptions): Issuers {
  const { folder, passphrase, trustRoot, clock, log } = options;
  let held = readAll(folder, passphrase);

  function active(): Issuer {
    for (const root of trustRoot().x509Roots) {
      const found = held.find((each) => each.root === root);
      if (found !== undefined) return found.issuer;
    }
    throw new Error("the trust root does not name this authority's certificate");
  }

  /** SECURITY: remembered before it is used, so that a retired root is never taken for the next one. */
  function settle(): void {
    const trusted = trustRoot().x509Roots;
    const used = new Set(readUsed(folder));
    for (const { root, issuer } of held) if (trusted.includes(root)) used.add(nameOf(issuer));
    writeUsed(folder, [...used]);
    for (const each of held) {
      const name = nameOf(each.issuer);
      if (trusted.includes(each.root) || !used.has(name)) continue;
      for (const file of each.files) rmSync(file, { force: true });
      log.warn(EVENT.issuerRetired, { issuer: name });
      held = held.filter((other) => other !== each);
    }
  }

  active();
  settle();
  return {
    active,
    next() {
      const trusted = trustRoot().x509Roots;
      const waiting = held.find(({ root }) => !trusted.includes(root));
      if (waiting !== undefined) return waiting.issuer;
      const made = make(options, trustRoot().trustDomain, clock());
      held = [...held, made];
      log.info(EVENT.issuerPrepared, { issuer: nameOf(made.issuer) });
      return made.issuer;
    },
    settle,
  };
}

/** How an issuer is called in files and logs: half of the SHA-256 of its certificate. */
export function nameOf({ certificateDer }: Pick<Issuer, 'certificateDer'>): string {
  return hash('sha256', certificateDer, 'hex').slice(0, 32);
}

function readAll(folder: string, passphrase: Passphrase): readonly Held[] {
  const first = caFolder(folder);
  const held: Held[] = [];
  // The first key is where version 0.1 put it, until it is retired.
  if (existsSync(first.key)) held.push(read(first.certificate, first.key, passphrase));
  const more = join(folder, 'issuers');
  for (const file of existsSync(more) ? readdirSync(more) : []) {
    const name = /^([0-9a-f]{32})\.key$/.exec(file)?.[1];
    // The certificate is written first; a crash in between leaves one that nobody names.
    if (name === undefined) continue;
    held.push(read(join(more, `${name}.crt`), join(more, `${name}.key`), passphrase));
  }
  if (held.length === 0) throw new Error(`\`${first.key}\` cannot be read`);
  return held;
}

function read(certificate: string, key: string, passphrase: Passphrase): Held {
  const issuer = loadIssuer(readFileSync(certificate, 'utf8'), readSealed(key, passphrase));
  if (!issuer.ok) throw new Error(`\`${key}\` and \`${certificate}\`: ${issuer.error}`);
  return asHeld(issuer.value, [key, certificate]);
}

const USED = 'used.json';

function readUsed(folder: string): readonly string[] {
  const path = join(folder, 'issuers', USED);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as string[]) : [];
}

function writeUsed(folder: string, names: readonly string[]): void {
  if (names.join() === readUsed(folder).join()) return;
  makeSecretFolder(join(folder, 'issuers'));
  writeSecretFile(join(folder, 'issuers', USED), JSON.stringify(names));
}

function make({ folder, passphrase }: IssuersOptions, trustDomain: string, nowMs: number): Held {
  const parsed = parseTrustDomain(trustDomain);
  if (!parsed.ok) throw new Error(parsed.error);
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const commonName = `Palisade root of ${trustDomain} of ${day}`;
  const issuer = createRoot({ trustDomain: parsed.value, nowMs, ttlMs: ROOT_TTL_MS, commonName });
  const name = nameOf(issuer);
  makeSecretFolder(join(folder, 'issuers'));
  const [key, certificate] = ['key', 'crt'].map((end) => join(folder, 'issuers', `${name}.${end}`));
  if (key === undefined || certificate === undefined) throw new Error('no name for an issuer');
  writeSecretFile(certificate, issuer.certificatePem);
  const pem = issuer.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  writeSealed(key, pem, passphrase);
  return asHeld(issuer, [key, certificate]);
}

function asHeld(issuer: Issuer, files: readonly string[]): Held {
  return { issuer, root: Buffer.from(issuer.certificateDer).toString('base64'), files };
}
