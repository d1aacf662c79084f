import { fail, ok, type Result } from '#lib';
import type { DsseEnvelope } from './dsse.ts';
import type { PolicySigner } from './policy-key.ts';
import { decodeBase64, hasExactly, isInstant } from './shape.ts';
import { openSignedJson, signJson } from './signed-json.ts';

/** What an authority says of the root it has made for the next rotation. */
export type NextRoot = {
  readonly trustDomain: string;
  /** Base64 DER. */
  readonly certificate: string;
  readonly time: string;
  /**
   * Where that root is trusted already, since it is an upstream's: the authority has made another intermediate below it, and
   * these are the serial numbers of those before it, lower-case hex.
   */
  readonly replaces?: readonly string[];
};

/** DSSE's payload type of such a statement. */
const NEXT_ROOT_TYPE = 'application/vnd.palisade.next-root+json';
const MAX_ROOT_BYTES = 16 * 1024;
const MEMBERS = ['trustDomain', 'certificate', 'time'] as const;
const MAX_REPLACED = 1000;

/** Signs with the issuance log's key, by which authors know the authority. */
export function signNextRoot(next: NextRoot, signer: PolicySigner): DsseEnvelope {
  return signJson(NEXT_ROOT_TYPE, next, signer);
}

/**
 * The authority's next root.
 * SECURITY: it reaches the author through the control plane, which would rather have a root of its own signed.
 */
export function openNextRoot(
  envelope: unknown,
  of: { readonly issuanceLogKey: string; readonly trustDomain: string },
): Result<NextRoot, string> {
  const opened = openSignedJson(envelope, NEXT_ROOT_TYPE, of.issuanceLogKey);
  if (!opened.ok) return fail(opened.error.message);
  const { value } = opened;
  const isNext =
    (hasExactly(value, MEMBERS) ||
      (hasExactly(value, [...MEMBERS, 'replaces']) && isSerials(value['replaces']))) &&
    value['trustDomain'] === of.trustDomain &&
    isInstant(value['time']) &&
    decodeBase64(value['certificate'], MAX_ROOT_BYTES) !== undefined;
  return isNext ? ok(value as unknown as NextRoot) : fail('not a statement about the next root');
}

function isSerials(value: unknown): boolean {
  const isSerial = (each: unknown) => typeof each === 'string' && /^[0-9a-f]{1,40}$/.test(each);
  return Array.isArray(value) && value.length <= MAX_REPLACED && value.every(isSerial);
}
