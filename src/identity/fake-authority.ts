// A fake for tests of this layer: certificates that no honest authority would make.
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import type { Bundle } from './bundle.ts';
import {
  CA_KEY_USAGE,
  encodeAltNames,
  encodeCommonName,
  encodeExtension,
  encodePurposes,
  encodeSigned,
  encodeTbs,
  LEAF_CONSTRAINTS,
  LEAF_KEY_USAGE,
} from './certificate-fields.ts';
import { encodeSequence, encodeUnsigned, TRUE } from './der-write.ts';
import { OID } from './oid.ts';
import { createSigningKey, exportSpki } from './signing-key.ts';
import { parseTrustDomain, type TrustDomain } from './trust-domain.ts';

/** The instant at which everything fake is valid for an hour before and after. */
export const NOW_MS: number = Date.UTC(2026, 0, 15, 12);
const HOUR_MS = 3_600_000;

/** A certificate together with its key. */
export type Fake = {
  readonly der: Uint8Array;
  readonly name: Buffer;
  readonly privateKey: KeyObject;
};

/** What differs from a well-made certificate; without an issuer it signs itself. */
export type FakeOptions = {
  readonly issuer?: Fake;
  readonly name?: string;
  readonly privateKey?: KeyObject;
  readonly serial?: Uint8Array;
  readonly notBefore?: number;
  readonly expiresAt?: number;
  readonly extensions: readonly Buffer[];
};

/** A key of each kind, made once: keys are slow to make and no test depends on fresh ones. */
export const KEYS: Readonly<
  Record<'p256' | 'p384' | 'p521' | 'ed25519' | 'rsa' | 'rsa1024', KeyObject>
> = {
  p256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
  p384: generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey,
  p521: generateKeyPairSync('ec', { namedCurve: 'secp521r1' }).privateKey,
  ed25519: generateKeyPairSync('ed25519').privateKey,
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  rsa1024: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey,
};

/** Makes a certificate of exactly these extensions. */
export function fakeCertificate(options: FakeOptions): Fake {
  const privateKey =
    options.privateKey ?? generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
  const called = options.name ?? (options.issuer === undefined ? 'self' : undefined);
  const name = called === undefined ? encodeSequence() : encodeCommonName(called);
  const signer = createSigningKey(options.issuer?.privateKey ?? privateKey);
  if (signer === undefined) throw new Error('the fake issuer cannot sign with such a key');
  const tbs = encodeTbs({
    serial: options.serial ?? Buffer.from([7]),
    signatureAlgorithm: signer.algorithm,
    issuer: options.issuer?.name ?? name,
    notBefore: options.notBefore ?? NOW_MS - HOUR_MS,
    expiresAt: options.expiresAt ?? NOW_MS + HOUR_MS,
    subject: name,
    spki: exportSpki(privateKey),
    extensions: options.extensions,
  });
  return { der: encodeSigned(tbs, signer.algorithm, signer.sign(tbs)), name, privateKey };
}

/** Extensions of an authority, with a path length or none. */
export function caExtensions(pathLength?: number): Buffer[] {
  const length = pathLength === undefined ? [] : [encodeUnsigned(Buffer.from([pathLength]))];
  return [
    encodeExtension(OID.basicConstraints, encodeSequence(TRUE, ...length), true),
    CA_KEY_USAGE,
  ];
}

/** Extensions of a well-made SVID of these URIs and DNS names. */
export function leafExtensions(uris: readonly string[], dns: readonly string[] = []): Buffer[] {
  return [
    LEAF_CONSTRAINTS,
    LEAF_KEY_USAGE,
    encodePurposes(OID.serverAuth, OID.clientAuth),
    encodeAltNames({ uris, dns }, true),
  ];
}

/** A subjectAltName of URIs alone, as an authority may carry it. */
export function uriNames(...uris: readonly string[]): Buffer {
  return encodeAltNames({ uris, dns: [] }, false);
}

/** A trust domain that is known to parse. */
export function fakeTrustDomain(text: string): TrustDomain {
  const parsed = parseTrustDomain(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** The bundle of these roots. */
export function fakeBundle(trustDomain: string, ...roots: readonly Fake[]): Bundle {
  const x509Roots = roots.map((root) => new X509Certificate(root.der));
  return { trustDomain: fakeTrustDomain(trustDomain), x509Roots };
}
