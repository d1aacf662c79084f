import type { KeyObject } from 'node:crypto';
import { ok, type Result } from '#lib';
import { canonicalJson } from './canonical-json.ts';
import {
  type DsseEnvelope,
  type OpenEnvelope,
  openEnvelope,
  signEnvelope,
  signersOf,
  type VerificationKey,
} from './dsse.ts';
import { refuse, type TrustError } from './errors.ts';
import { openPublicKey, type PolicySigner } from './policy-key.ts';
import { decodeBase64, hasExactly, isCount, isInstant, isNamespace, isText } from './shape.ts';

/** A key that may sign policy, and for which namespaces (`*`: all of them, and the trust root itself). */
export type TrustedPolicyKey = {
  /** SHA-256 of the SPKI DER, lower-case hex. */
  readonly keyId: string;
  /** Base64 SPKI DER of an Ed25519 key. */
  readonly publicKey: string;
  readonly name: string;
  readonly namespaces: readonly string[];
};

/** What an enforcement point pins: whom it believes, and nothing else. Versions succeed each other as in TUF. */
export type TrustRoot = {
  /** From 1, growing. */
  readonly version: number;
  readonly trustDomain: string;
  /** X.509 roots, base64 DER. */
  readonly x509Roots: readonly string[];
  readonly policyKeys: readonly TrustedPolicyKey[];
  /** How many different keys must have signed a commit or a trust root. */
  readonly threshold: number;
  /** The key that signs heads of the CA's issuance log: base64 SPKI DER, Ed25519. */
  readonly issuanceLogKey: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly issuedAt: string;
};

/** The clock difference that is forgiven, and named beyond. */
export const CLOCK_SKEW_MS = 60_000;

/** DSSE's payload type of a trust root. */
const TRUST_ROOT_TYPE = 'application/vnd.palisade.trust-root+json';

const MEMBERS = [
  'version',
  'trustDomain',
  'x509Roots',
  'policyKeys',
  'threshold',
  'issuanceLogKey',
  'issuedAt',
];
const MAX_KEYS = 256;
const MAX_ROOTS = 64;
const MAX_ROOT_BYTES = 16 * 1024;

// Parsing a key costs as much as verifying with it; the entries of a pinned root live long.
const openedKeys = new WeakMap<TrustedPolicyKey, KeyObject>();

/** Signs a trust root with keys that are in it (and, for a successor, enough of its predecessor's). */
export function signTrustRoot(root: TrustRoot, signers: readonly PolicySigner[]): DsseEnvelope {
  return signEnvelope(TRUST_ROOT_TYPE, canonicalJson(root), signers);
}

/**
 * The trust root in an envelope, if it is signed by its own threshold. That proves it consistent, not genuine:
 * whoever calls this has the envelope from a place it trusts, e.g. its data folder, and pins the result.
 */
export function openTrustRoot(envelope: unknown): Result<TrustRoot, TrustError> {
  const opened = readTrustRoot(envelope);
  return opened.ok ? ok(opened.value.root) : opened;
}

/**
 * The trust root to pin after `pinned`: a higher version of the same trust domain, signed by the threshold of
 * `pinned` and by its own. The very same root again is good and changes nothing.
 */
export function succeedTrustRoot(
  pinned: TrustRoot,
  envelope: unknown,
  nowMs: number,
): Result<TrustRoot, TrustError> {
  const opened = readTrustRoot(envelope);
  if (!opened.ok) return opened;
  const { root, open } = opened.value;
  const about = { number: root.version };
  if (root.trustDomain !== pinned.trustDomain) {
    return refuse('wrong_trust_domain', `a trust root of \`${root.trustDomain}\``, about);
  }
  if (root.version < pinned.version) {
    const message = `trust root ${root.version} is older than the pinned ${pinned.version}`;
    return refuse('version_rollback', message, about);
  }
  if (root.version === pinned.version) {
    if (canonicalJson(root) === canonicalJson(pinned)) return ok(pinned);
    return refuse('fork', `another trust root ${root.version} is pinned`, about);
  }
  if (Date.parse(root.issuedAt) > nowMs + CLOCK_SKEW_MS) {
    const message = `trust root ${root.version} is of ${root.issuedAt}, which has not come yet`;
    return refuse('trust_root_invalid', message, about);
  }
  const signers = signersOf(open, keysFor(pinned, '*')).size;
  if (signers < pinned.threshold) {
    const message = `${signers} of ${pinned.threshold} needed signatures by keys of the pinned trust root`;
    return refuse('signature_threshold', message, about);
  }
  return ok(root);
}

/** The keys that may sign for `namespace`; for `*`, those that may sign for all and therefore the trust root. */
export function keysFor(root: TrustRoot, namespace: string): VerificationKey[] {
  return root.policyKeys
    .filter((key) => key.namespaces.includes('*') || key.namespaces.includes(namespace))
    .flatMap(openKey);
}

/** Every policy key of the root, whatever it may sign. */
export function allKeys(root: TrustRoot): VerificationKey[] {
  return root.policyKeys.flatMap(openKey);
}

function openKey(entry: TrustedPolicyKey): VerificationKey[] {
  let key = openedKeys.get(entry);
  if (key === undefined) {
    const opened = openPublicKey(entry.publicKey);
    // INVARIANT: parseTrustRoot has opened every key; a root made by hand with a bad key has one key less.
    if (!opened.ok || opened.value.keyId !== entry.keyId) return [];
    key = opened.value.key;
    openedKeys.set(entry, key);
  }
  return [{ keyId: entry.keyId, key }];
}

function readTrustRoot(
  envelope: unknown,
): Result<{ root: TrustRoot; open: OpenEnvelope }, TrustError> {
  const open = openEnvelope(envelope, TRUST_ROOT_TYPE);
  if (!open.ok) return open;
  const root = parseTrustRoot(open.value.payload);
  if (!root.ok) return root;
  const signers = signersOf(open.value, keysFor(root.value, '*')).size;
  if (signers < root.value.threshold) {
    const message = `${signers} of ${root.value.threshold} needed signatures by keys of the trust root itself`;
    return refuse('signature_threshold', message, { number: root.value.version });
  }
  return ok({ root: root.value, open: open.value });
}

function parseTrustRoot(value: unknown): Result<TrustRoot, TrustError> {
  const bad = (message: string) => refuse('trust_root_invalid', message);
  if (!hasExactly(value, MEMBERS)) return bad('members are missing or unknown');
  const { version, trustDomain, x509Roots, policyKeys, threshold, issuanceLogKey, issuedAt } =
    value;
  if (!isCount(version, 1)) return bad('`version` is not a whole number from 1');
  if (!isText(trustDomain, 255) || !/^[a-z0-9._-]+$/.test(trustDomain)) {
    return bad('`trustDomain` is not the name of one');
  }
  if (!isInstant(issuedAt)) return bad('`issuedAt` is not an instant');
  if (!isListOf(x509Roots, MAX_ROOTS, isRootCertificate)) {
    return bad('`x509Roots` are not base64 of DER');
  }
  if (!isListOf(policyKeys, MAX_KEYS, isPolicyKey)) return bad('a policy key is not well-formed');
  const ids = policyKeys.map((key) => key.keyId);
  if (new Set(ids).size !== ids.length) return bad('a policy key is listed twice');
  if (!openPublicKey(issuanceLogKey).ok) return bad('`issuanceLogKey` is not an Ed25519 key');
  const rootKeys = policyKeys.filter((key) => key.namespaces.includes('*'));
  if (!isCount(threshold, 1) || threshold > rootKeys.length) {
    return bad('`threshold` is not between 1 and the number of keys for all namespaces');
  }
  return ok(value as unknown as TrustRoot);
}

function isListOf<T>(
  value: unknown,
  most: number,
  is: (item: unknown) => item is T,
): value is readonly T[] {
  return Array.isArray(value) && value.length > 0 && value.length <= most && value.every(is);
}

function isRootCertificate(value: unknown): value is string {
  return isText(value, 2 * MAX_ROOT_BYTES) && decodeBase64(value, MAX_ROOT_BYTES) !== undefined;
}

function isPolicyKey(value: unknown): value is TrustedPolicyKey {
  if (!hasExactly(value, ['keyId', 'publicKey', 'name', 'namespaces'])) return false;
  const opened = openPublicKey(value['publicKey']);
  return (
    opened.ok &&
    // SECURITY: an id that is not the key's own would let one key sign as several.
    opened.value.keyId === value['keyId'] &&
    isText(value['name'], 200) &&
    isListOf(value['namespaces'], 1000, (item) => item === '*' || isNamespace(item))
  );
}
