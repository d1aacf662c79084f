// What a receiver is made with, and certificates for receivers, for tests.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createKeyPair,
  createRoot,
  derToPem,
  exportSpki,
  issueX509Svid,
  parseTrustDomain,
  workloadSpiffeId,
} from '#identity';
import { createAddressGuard } from './address-guard.ts';
import type { Surroundings } from './surroundings.ts';

/** Surroundings with a folder of their own. */
export type FakeSurroundings = Surroundings & {
  readonly putSecret: (name: string, text: string) => void;
  readonly remove: () => void;
};

/** Creates them; `changes` take the place of what is here. */
export function createFakeSurroundings(changes: Partial<Surroundings> = {}): FakeSurroundings {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-sink-'));
  const secrets = join(folder, 'secrets');
  mkdirSync(secrets);
  return {
    sink: 'test',
    trustDomain: 'cluster.local',
    version: '0.2.0',
    userAgent: 'palisade/0.2.0',
    hostname: 'control-1',
    consoleUrl: () => 'http://127.0.0.1:7703',
    tls: undefined,
    secrets: { folder: secrets, env: { PALISADE_SINK_TOKEN: 'env-token-9f2c' } },
    guard: createAddressGuard({ ownPorts: () => [], allowed: [] }),
    clock: Date.now,
    folder,
    fileOwner: () => undefined,
    filesFolder: join(folder, 'files'),
    ...changes,
    putSecret: (name, text) => writeFileSync(join(secrets, name), text),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** An authority's root, and what it issued to `receiver.example`; PEM. */
export type FakeTls = { readonly ca: string; readonly cert: string; readonly key: string };

/** Makes an authority and a certificate of it for a DNS name. */
export function createFakeTls(dnsName = 'receiver.example'): FakeTls {
  const trustDomain = parseTrustDomain('receivers.example');
  if (!trustDomain.ok) throw new Error(trustDomain.error);
  const nowMs = Date.now();
  const issuer = createRoot({ trustDomain: trustDomain.value, nowMs, ttlMs: 3_600_000 });
  const { privateKey, publicKey } = createKeyPair();
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(15)]);
  const leaf = issueX509Svid({
    issuer,
    id: workloadSpiffeId(trustDomain.value, 'default', 'receiver'),
    publicKeyDer: exportSpki(publicKey),
    serial,
    notBefore: nowMs - 60_000,
    expiresAt: nowMs + 3_000_000,
    dnsNames: [dnsName],
  });
  return {
    ca: issuer.certificatePem,
    cert: derToPem(leaf),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
