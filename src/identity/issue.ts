import { createPrivateKey, hash, type KeyObject, randomBytes } from 'node:crypto';
import { fail, ok, type Result } from '#lib';
import type { AttestationStrength } from './attestation-strength.ts';
import { type Certificate, decodeCertificate } from './certificate.ts';
import {
  CA_KEY_USAGE,
  EMPTY_NAME,
  encodeAltNames,
  encodeAuthorityKeyId,
  encodeCaConstraints,
  encodeCommonName,
  encodePurposes,
  encodeRequester,
  encodeSigned,
  encodeStrength,
  encodeSubjectKeyId,
  encodeTbs,
  keyIdOf,
  LEAF_CONSTRAINTS,
  LEAF_KEY_USAGE,
} from './certificate-fields.ts';
import { KEY_USAGE } from './extensions.ts';
import { OID } from './oid.ts';
import { derToPem, pemToDer } from './pem.ts';
import { BACKDATE_MS } from './revocation.ts';
import { createKeyPair, createSigningKey, type SigningKey } from './signing-key.ts';
import type { SpiffeId } from './spiffe-id.ts';
import type { TrustDomain } from './trust-domain.ts';

/** An authority that can sign SVIDs. */
export type Issuer = {
  readonly certificateDer: Uint8Array;
  readonly certificatePem: string;
  readonly key: SigningKey;
  /** What a leaf is sent with: DER, from the issuer's own certificate up to the one below the root; empty for a root. */
  readonly intermediates: readonly Uint8Array[];
  /** The root that it stands under, DER; its own certificate where it is one itself. */
  readonly rootDer: Uint8Array;
  /** When it and all above it are valid, milliseconds since 1970: nothing it signs should last longer. */
  readonly startsAt: number;
  readonly expiresAt: number;
};

/** What `createRoot` makes; `ttlMs` counts from `nowMs`, and so does the tolerated clock skew back. */
export type RootOptions = {
  readonly trustDomain: TrustDomain;
  readonly nowMs: number;
  readonly ttlMs: number;
  readonly commonName?: string;
  /** A fresh one in memory unless told. */
  readonly key?: SigningKey;
};

/** What `issueX509Svid` signs; times in ms since 1970, cut to seconds. */
export type SvidOptions = {
  readonly issuer: Issuer;
  readonly id: SpiffeId;
  /** SubjectPublicKeyInfo, as `parseCsr` gives it. */
  readonly publicKeyDer: Uint8Array;
  /** 16 bytes whose first bit is clear. */
  readonly serial: Uint8Array;
  readonly notBefore: number;
  readonly expiresAt: number;
  readonly dnsNames?: readonly string[];
  /** What the identity stands on; nothing is said of it where absent. */
  readonly attestation?: AttestationStrength;
  /** `requesterTag` of the agent that asks for it, so that all it asked for can be revoked with it. */
  readonly requester?: string;
};

/** A certificate and key that sign for themselves, for pinning by fingerprint. */
export type SelfSignedClient = {
  readonly certificatePem: string;
  readonly certificateDer: Uint8Array;
  /** PKCS #8. */
  readonly privateKeyPem: string;
  /** SHA-256 of the certificate's DER, lower-case hex. */
  readonly fingerprint: string;
};

type IssuerParts = {
  readonly key: SigningKey;
  readonly name: Buffer;
  /** Extensions that every leaf of this issuer has in common. */
  readonly common: readonly Buffer[];
};

// One level of intermediates is all that key rotation and nested authorities use.
const ROOT_PATH_LENGTH = 1;
const BOTH_PURPOSES = encodePurposes(OID.serverAuth, OID.clientAuth);
const CLIENT_PURPOSE = encodePurposes(OID.clientAuth);

/** Creates the self-signed authority of a trust domain, on P-256 (X509-SVID sections 3.2 and 4). */
export function createRoot(options: RootOptions): Issuer {
  const key = options.key ?? signingKeyOf(createKeyPair().privateKey);
  const name = options.commonName ?? `Palisade root of ${options.trustDomain}`;
  const uris = [`spiffe://${options.trustDomain}`];
  const certificateDer = selfSign(key, name, options, [
    encodeCaConstraints(ROOT_PATH_LENGTH),
    CA_KEY_USAGE,
    encodeAltNames({ uris, dns: [] }, false),
  ]);
  const certificate = decodeCertificate(certificateDer);
  if (!certificate.ok) throw new Error(`a root of our own making: ${certificate.error}`);
  return asRoot(certificate.value, key);
}

/**
 * Issues an X.509-SVID leaf and returns its DER. It signs what it is told: whether the key's
 * holder may have the identity is decided before. Throws a RangeError on a serial number that is
 * not 16 bytes and positive, or an issuer whose certificate cannot be read.
 */
export function issueX509Svid(options: SvidOptions): Uint8Array {
  const { tbs, key } = prepareX509Svid(options);
  return encodeSigned(tbs, key.algorithm, key.sign(tbs));
}

/** As `issueX509Svid`, without blocking on a key that lies on another device; rejects where that refuses. */
export async function issueX509SvidLater(options: SvidOptions): Promise<Uint8Array> {
  const { tbs, key } = prepareX509Svid(options);
  const signature = key.signLater === undefined ? key.sign(tbs) : await key.signLater(tbs);
  return encodeSigned(tbs, key.algorithm, signature);
}

function prepareX509Svid(options: SvidOptions): { tbs: Buffer; key: SigningKey } {
  const { issuer, id, publicKeyDer, serial, notBefore, expiresAt, attestation } = options;
  const { dnsNames = [] } = options;
  if (serial.length !== 16 || (serial[0] ?? 0) >= 0x80 || serial.every((byte) => byte === 0)) {
    throw new RangeError('a serial number is 16 bytes and positive');
  }
  const { key, name, common } = partsOf(issuer);
  const tbs = encodeTbs({
    serial,
    signatureAlgorithm: key.algorithm,
    issuer: name,
    notBefore,
    expiresAt,
    subject: EMPTY_NAME,
    spki: publicKeyDer,
    extensions: [
      ...common,
      ...(attestation === undefined ? [] : [encodeStrength(attestation)]),
      encodeAltNames({ uris: [id.text], dns: dnsNames }, true),
      encodeSubjectKeyId(keyIdOf(publicKeyDer)),
      ...(options.requester === undefined ? [] : [encodeRequester(options.requester)]),
    ],
  });
  return { tbs, key };
}

/** Loads a self-signed authority; fails unless the certificate is a CA's and the key is its own. */
export function loadIssuer(certificatePem: string, key: SigningKey): Result<Issuer, string> {
  const [der, ...more] = pemToDer(certificatePem);
  if (der === undefined || more.length > 0) return fail('exactly one certificate is expected');
  const certificate = decodeCertificate(der);
  if (!certificate.ok) return fail(`the certificate: ${certificate.error}`);
  const { basicConstraints, keyUsage = 0 } = certificate.value.extensions;
  if (basicConstraints?.ca !== true || (keyUsage & KEY_USAGE.keyCertSign) === 0) {
    return fail('the certificate may not sign certificates');
  }
  if (!Buffer.from(key.publicKeyDer).equals(certificate.value.spki)) {
    return fail("the private key is not the certificate's");
  }
  return ok(asRoot(certificate.value, key));
}

/** A private key in PEM made ready to sign; fails if it is none, or of no accepted kind. */
export function loadSigningKey(privateKeyPem: string): Result<SigningKey, string> {
  const privateKey = importPrivateKey(privateKeyPem);
  const key = privateKey && createSigningKey(privateKey);
  return key === undefined ? fail('the private key cannot be read') : ok(key);
}

function asRoot({ der, notBefore, expiresAt }: Certificate, key: SigningKey): Issuer {
  const own = { certificateDer: der, certificatePem: derToPem(der), rootDer: der };
  return { ...own, key, intermediates: [], startsAt: notBefore, expiresAt };
}

/** Creates a client certificate that is trusted by its fingerprint alone, e.g. an operator's. */
export function createSelfSignedClient(options: {
  readonly commonName: string;
  readonly nowMs: number;
  readonly ttlMs: number;
}): SelfSignedClient {
  const { privateKey } = createKeyPair();
  const extensions = [LEAF_CONSTRAINTS, LEAF_KEY_USAGE, CLIENT_PURPOSE];
  const key = signingKeyOf(privateKey);
  const certificateDer = selfSign(key, options.commonName, options, extensions);
  return {
    certificatePem: derToPem(certificateDer),
    certificateDer,
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint: hash('sha256', certificateDer),
  };
}

function selfSign(
  key: SigningKey,
  commonName: string,
  { nowMs, ttlMs }: { readonly nowMs: number; readonly ttlMs: number },
  extensions: readonly Buffer[],
): Uint8Array {
  const spki = key.publicKeyDer;
  const name = encodeCommonName(commonName);
  const tbs = encodeTbs({
    serial: randomSerial(),
    signatureAlgorithm: key.algorithm,
    issuer: name,
    notBefore: nowMs - BACKDATE_MS,
    expiresAt: nowMs + ttlMs,
    subject: name,
    spki,
    extensions: [...extensions, encodeSubjectKeyId(keyIdOf(spki))],
  });
  return encodeSigned(tbs, key.algorithm, key.sign(tbs));
}

/** 16 random bytes, positive and never zero. */
export function randomSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

const parts = new WeakMap<Issuer, IssuerParts>();

/** What does not change from leaf to leaf, encoded once per issuer. */
function partsOf(issuer: Issuer): IssuerParts {
  const known = parts.get(issuer);
  if (known !== undefined) return known;
  const decoded = decodeCertificate(issuer.certificateDer);
  if (!decoded.ok) throw new RangeError(`the issuer's certificate: ${decoded.error}`);
  const certificate: Certificate = decoded.value;
  const { subjectKeyId } = certificate.extensions;
  const keyId =
    subjectKeyId === undefined ? keyIdOf(certificate.spki) : Buffer.from(subjectKeyId, 'hex');
  const made: IssuerParts = {
    key: issuer.key,
    name: certificate.subject,
    common: [LEAF_CONSTRAINTS, LEAF_KEY_USAGE, BOTH_PURPOSES, encodeAuthorityKeyId(keyId)],
  };
  parts.set(issuer, made);
  return made;
}

function signingKeyOf(privateKey: KeyObject): SigningKey {
  const key = createSigningKey(privateKey);
  if (key === undefined) throw new RangeError('the key is not P-256, P-384, Ed25519 or RSA');
  return key;
}

function importPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    // SECURITY: OpenSSL's message could quote the key's text.
    return undefined;
  }
}
