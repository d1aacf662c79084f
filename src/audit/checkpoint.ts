import { fail, ok, type Result } from '#lib';
import { type DsseEnvelope, openSignedJson, type PolicySigner, signJson } from '#trust';
import { isConsistent, type TreeHead } from './tree.ts';

/** What a signed checkpoint says: of this log, the first `size` records are these. */
export type Checkpoint = TreeHead & {
  readonly trustDomain: string;
  /** `control`. */
  readonly log: string;
  /** Hash of the last of them. */
  readonly last: string;
  /** When it was signed: ISO 8601, by the clock of who signed it. */
  readonly time: string;
};

/** DSSE's payload type of a checkpoint. */
export const CHECKPOINT_TYPE = 'application/vnd.palisade.audit-checkpoint+json';

/** Signs a checkpoint with the authority's log key, which the trust root names. */
export function signCheckpoint(checkpoint: Checkpoint, signer: PolicySigner): DsseEnvelope {
  const { trustDomain, log, size, root, last, time } = checkpoint;
  return signJson(CHECKPOINT_TYPE, { trustDomain, log, size, root, last, time }, signer);
}

/** What a checkpoint says, if the log key of the pinned trust root signed it for this trust domain. */
export function openCheckpoint(
  envelope: unknown,
  of: { readonly issuanceLogKey: string; readonly trustDomain: string },
): Result<Checkpoint, string> {
  const opened = openSignedJson(envelope, CHECKPOINT_TYPE, of.issuanceLogKey);
  if (!opened.ok) return fail(opened.error.message);
  const value = opened.value as Partial<Checkpoint> | null;
  const isOne =
    isSize(value?.size) &&
    isHash(value?.root) &&
    isHash(value?.last) &&
    typeof value?.log === 'string' &&
    typeof value?.time === 'string' &&
    value.trustDomain === of.trustDomain;
  return isOne ? ok(value as Checkpoint) : fail('the signed checkpoint is not one');
}

/** A log's end that somebody is asked to believe, with the proof that it continues an earlier one. */
export type OfferedTip = TreeHead & {
  /** The size that the proof starts from. */
  readonly from: number;
  readonly proof: readonly string[];
};

/** Why a log's end is not one that continues what is known. */
export type WitnessRefusal =
  /** The proof starts elsewhere: ask for one from `size`. */
  | { readonly kind: 'unproven'; readonly size: number }
  | { readonly kind: 'rollback' | 'fork'; readonly message: string };

const MAX_PROOF = 128;

/**
 * Whether a log's end continues the one known here. SECURITY: this is what keeps whoever owns a log from rewriting it:
 * each witness takes only what continues what it took before, for ever.
 */
export function checkContinues(
  known: TreeHead | undefined,
  offered: OfferedTip,
): Result<undefined, WitnessRefusal> {
  if (known === undefined) return ok(undefined);
  if (offered.size < known.size) {
    const message = `the log has ${offered.size} records, though it had ${known.size} before: it was rolled back or cut off`;
    return fail({ kind: 'rollback', message });
  }
  if (offered.size === known.size && offered.root === known.root) return ok(undefined);
  if (offered.size > known.size && offered.from !== known.size) {
    return fail({ kind: 'unproven', size: known.size });
  }
  const isShort = offered.proof.length <= MAX_PROOF && offered.proof.every(isHash);
  if (isShort && isConsistent(known, offered, offered.proof)) return ok(undefined);
  const message = `the log's first ${known.size} records are not those it had before: it was rewritten or forked`;
  return fail({ kind: 'fork', message });
}

/** Whether `value` is a SHA-256 in lower-case hex. */
export function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

/** Whether `value` is a number of records. */
export function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
