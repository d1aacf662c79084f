import type { PolicyIr, PolicyOptions } from './ir.ts';
import type { Made } from './program.ts';
import type { Decision, Question } from './question.ts';
import { CANNOT_DECIDE, compileParts, otherwise, type Parts } from './side.ts';
import { type Gone, NO_MATCH } from './tree-code.ts';

/**
 * A program of two halves: what was compiled before, less the policies that are gone, and those that
 * are new. So one change of ten thousand policies costs little more than compiling that one.
 */
export type Overlay = {
  readonly base: Parts;
  readonly basePolicies: readonly PolicyIr[];
  readonly added: Parts;
  readonly http: OverlaidSide;
  readonly tcp: OverlaidSide;
  /** Where a policy of each half stands among all, by its place within that half. */
  readonly baseRanks: Int32Array;
  readonly addedRanks: Int32Array;
  readonly otherwise: Decision;
};

type OverlaidSide = { readonly deny: Gone; readonly allow: Gone };

// Beyond these, looking twice costs all decisions more than compiling everything once.
const MOST_CHANGED = 64;
const LEAST_KEPT = 8;

/** How policies differ from what a program was made of; undefined if by too much, or by more than verdicts. */
export function overlayOf(
  { base, parts }: Made,
  policies: readonly PolicyIr[],
  options: PolicyOptions,
): Overlay | undefined {
  if (parts.http.hasMore || parts.tcp.hasMore) return undefined;
  const is = new Uint8Array(base.length).fill(1);
  const baseRanks = new Int32Array(base.length);
  const added: PolicyIr[] = [];
  const addedRanks: number[] = [];
  let last = -1;
  for (const [rank, policy] of policies.entries()) {
    const place = parts.standing.get(policy);
    if (place === undefined) {
      added.push(policy);
      addedRanks.push(rank);
      continue;
    }
    // What is kept has to be in the order in which it was compiled, since a search finds the first.
    if (place <= last) return undefined;
    last = place;
    is[place] = 0;
    baseRanks[place] = rank;
  }
  const changed = 2 * added.length + base.length - policies.length;
  if (changed > MOST_CHANGED || changed * LEAST_KEPT > base.length) return undefined;
  const addedParts = compileParts(added, options);
  if (addedParts.http.hasMore || addedParts.tcp.hasMore) return undefined;
  const sideOf = (traffic: 'http' | 'tcp'): OverlaidSide => ({
    deny: { is, policyOf: parts[traffic].deny.policyOf },
    allow: { is, policyOf: parts[traffic].allow.policyOf },
  });
  return {
    base: parts,
    basePolicies: base,
    added: addedParts,
    http: sideOf('http'),
    tcp: sideOf('tcp'),
    baseRanks,
    addedRanks: Int32Array.from(addedRanks),
    otherwise: otherwise(policies, options),
  };
}

/** As `evaluateSide` over both halves: the first rule in the order of all policies decides. */
export function evaluateOverlay(overlay: Overlay, question: Question): Decision {
  const { base, added, baseRanks, addedRanks } = overlay;
  base.matcher.match(question);
  added.matcher.match(question);
  const traffic = question.request === undefined ? 'tcp' : 'http';
  const gone = overlay[traffic];
  const old = base[traffic];
  const anew = added[traffic];
  const oldDeny = base.code.search(old.deny.tree, gone.deny);
  const newDeny = added.code.search(anew.deny.tree);
  if (oldDeny !== NO_MATCH || newDeny !== NO_MATCH) {
    const oldRank = rankOf(oldDeny, baseRanks, old.deny.policyOf);
    const isOld = oldRank < rankOf(newDeny, addedRanks, anew.deny.policyOf);
    return (isOld ? old.denials[oldDeny] : anew.denials[newDeny]) ?? CANNOT_DECIDE;
  }
  const oldAllow = base.code.search(old.allow.tree, gone.allow);
  const newAllow = added.code.search(anew.allow.tree);
  if (oldAllow === NO_MATCH && newAllow === NO_MATCH) return overlay.otherwise;
  const oldRank = rankOf(oldAllow, baseRanks, old.allow.policyOf);
  const isOld = oldRank < rankOf(newAllow, addedRanks, anew.allow.policyOf);
  return (isOld ? old.allowances[oldAllow] : anew.allowances[newAllow]) ?? CANNOT_DECIDE;
}

/** Where the policy of a rule stands among all; after all others where no rule matched. */
function rankOf(ordinal: number, ranks: Int32Array, policyOf: Int32Array): number {
  return ordinal === NO_MATCH ? NO_MATCH : (ranks[policyOf[ordinal] ?? 0] ?? NO_MATCH);
}
