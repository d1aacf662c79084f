import { fail, ok, type Result } from '#lib';
import {
  applyUpdate,
  decodeAnswer,
  decodeEnvelope,
  decodeUpdate,
  type PolicySet,
  succeedTrustRoot,
  type TrustError,
  type TrustRoot,
  verifyLookup,
} from '#trust';
import type { LookupResult, PolicySetUpdate } from '#wire';
import type { Refused } from './refusals.ts';

/** One resource of a namespace that is not held whole, or its proven absence (`resource` undefined). */
export type VerifiedLookup = {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly resource: unknown;
  readonly number: number;
  readonly hash: string;
  /** As it came, to be kept on disk and verified again. */
  readonly evidence: Pick<LookupResult, 'commit' | 'resource' | 'proof'>;
};

/** What came through verification, so far. */
export type VerifiedPolicy = {
  readonly trustRoot: TrustRoot;
  readonly sets: ReadonlyMap<string, PolicySet>;
  /** By `lookupKey`. */
  readonly lookups: ReadonlyMap<string, VerifiedLookup>;
};

/** Names a lookup in maps and files. */
export function lookupKey(of: {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
}): string {
  return `${of.namespace}/${of.kind}/${of.name}`;
}

/** The set of `update`'s namespace after it; `policy` is untouched, and so is its set when the update is refused. */
export function verifySet(
  policy: VerifiedPolicy,
  update: Pick<PolicySetUpdate, 'namespace' | 'commits' | 'full' | 'changes'>,
  nowMs: number,
): Result<PolicySet, Refused> {
  const { namespace } = update;
  const decoded = decodeUpdate(update);
  if (!decoded.ok) return refuse(namespace, decoded.error);
  const current = policy.sets.get(namespace);
  const applied = applyUpdate(current, decoded.value, policy.trustRoot, nowMs);
  return applied.ok ? applied : refuse(namespace, applied.error);
}

/** The answer to a lookup, proven; never older than what other lookups told of the same namespace. */
export function verifyLookupResult(
  policy: VerifiedPolicy,
  result: Pick<LookupResult, 'namespace' | 'kind' | 'name' | 'commit' | 'resource' | 'proof'>,
  nowMs: number,
): Result<VerifiedLookup, Refused> {
  const { namespace, kind, name, commit, resource, proof } = result;
  const decoded = decodeAnswer({ commit, resource, proof });
  if (!decoded.ok) return refuse(namespace, decoded.error);
  const known = newestLookup(policy, namespace);
  const verified = verifyLookup(decoded.value, {
    namespace,
    key: `${kind}/${name}`,
    trustRoot: policy.trustRoot,
    nowMs,
    ...(known === undefined ? {} : { known }),
  });
  if (!verified.ok) return refuse(namespace, verified.error);
  return ok({ namespace, kind, name, ...verified.value, evidence: { commit, resource, proof } });
}

/** The successor of the pinned trust root; the very same one again is good. */
export function verifyTrustRoot(
  pinned: TrustRoot,
  envelope: Uint8Array,
  nowMs: number,
): Result<{ readonly root: TrustRoot; readonly envelope: unknown }, Refused> {
  const decoded = decodeEnvelope(envelope);
  if (!decoded.ok) return refuse('', decoded.error);
  const successor = succeedTrustRoot(pinned, decoded.value, nowMs);
  if (!successor.ok) return refuse('', successor.error);
  return ok({ root: successor.value, envelope: decoded.value });
}

function newestLookup(
  policy: VerifiedPolicy,
  namespace: string,
): { number: number; hash: string } | undefined {
  let newest: VerifiedLookup | undefined;
  for (const lookup of policy.lookups.values()) {
    if (lookup.namespace !== namespace) continue;
    if (newest === undefined || lookup.number > newest.number) newest = lookup;
  }
  return newest === undefined ? undefined : { number: newest.number, hash: newest.hash };
}

function refuse(namespace: string, error: TrustError): Result<never, Refused> {
  const { code, message, number = 0, hash = '' } = error;
  return fail({ namespace, number, hash, code, message });
}
