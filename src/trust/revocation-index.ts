import { BACKDATE_MS, type Revocable, type RevocationCheck, requesterTag } from '#identity';
import { canonicalJson } from './canonical-json.ts';
import type { RevocationTarget, VerifiedRevocation } from './revocation.ts';

/** A revocation that is in force unless it ended by itself. */
export type ActiveRevocation = {
  readonly entry: VerifiedRevocation;
  readonly target: RevocationTarget;
  /** Milliseconds since 1970; infinite where it does not end. */
  readonly until: number;
  /** Credentials issued from then on are good; infinite where all are revoked. */
  readonly issuedBefore: number;
};

/** The revocations that nobody lifted, oldest first within each chain. */
export function activeRevocations(entries: readonly VerifiedRevocation[]): ActiveRevocation[] {
  const lifted = new Map<string, Set<string>>();
  for (const { revocation } of entries) {
    if (revocation.act.kind !== 'lift') continue;
    const targets = lifted.get(revocation.act.revocation) ?? new Set();
    lifted.set(revocation.act.revocation, targets.add(canonicalJson(revocation.target)));
  }
  return entries.flatMap((entry) => {
    const { act, target } = entry.revocation;
    if (act.kind !== 'revoke') return [];
    // SECURITY: a lift was verified for the target it names; naming another's entry lifts nothing.
    if (lifted.get(entry.hash)?.has(canonicalJson(target)) === true) return [];
    return [
      {
        entry,
        target,
        until: instant(act.until),
        issuedBefore: target.kind === 'serial' ? Infinity : instant(target.issuedBefore),
      },
    ];
  });
}

/**
 * Compiles entries to the question every connection asks. It costs three look-ups however many entries there are, and
 * nothing while there are none.
 */
export function compileRevocations(
  entries: readonly VerifiedRevocation[],
  trustDomain: string,
): RevocationCheck {
  const serials = new Map<string, ActiveRevocation[]>();
  const identities = new Map<string, ActiveRevocation[]>();
  const requesters = new Map<string, ActiveRevocation[]>();
  const everybody: ActiveRevocation[] = [];
  const put = (map: Map<string, ActiveRevocation[]>, key: string, active: ActiveRevocation) =>
    map.set(key, [...(map.get(key) ?? []), active]);
  for (const active of activeRevocations(entries)) {
    const { target } = active;
    if (target.kind === 'serial') put(serials, target.serial, active);
    else if (target.kind === 'all') everybody.push(active);
    else put(identities, target.id, active);
    if (target.kind === 'agent') put(requesters, requesterTag(target.id), active);
  }
  if (serials.size + identities.size + everybody.length === 0) return () => undefined;
  return (svid, nowMs) => {
    const own = svid.id.trustDomain === trustDomain;
    const found =
      first(serials.get(svid.serial), svid, nowMs) ??
      firstOfSigners(serials, svid, nowMs) ??
      first(identities.get(svid.id.text), svid, nowMs) ??
      first(requesters.get(svid.requester ?? ''), svid, nowMs) ??
      (own ? first(everybody, svid, nowMs) : undefined);
    return found && { code: 'revoked', message: sentence(found), since: sinceOf(found) };
  };
}

function first(
  candidates: readonly ActiveRevocation[] | undefined,
  svid: Revocable,
  nowMs: number,
): ActiveRevocation | undefined {
  if (candidates === undefined) return undefined;
  const issuedAt = svid.notBefore + BACKDATE_MS;
  return candidates.find(({ until, issuedBefore }) => nowMs < until && issuedAt < issuedBefore);
}

/** SECURITY: an intermediate in wrong hands vouches for any name, so whatever stands under it goes with it. */
function firstOfSigners(
  serials: ReadonlyMap<string, readonly ActiveRevocation[]>,
  svid: Revocable,
  nowMs: number,
): ActiveRevocation | undefined {
  for (const serial of svid.signers ?? []) {
    const found = first(serials.get(serial), svid, nowMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

function sinceOf({ entry }: ActiveRevocation): number {
  return Date.parse(entry.revocation.time);
}

/** What is revoked, for people: `serial 4f…`, `agent spiffe://…`. */
export function describeTarget(target: RevocationTarget): string {
  if (target.kind === 'serial') return `serial ${target.serial}`;
  if (target.kind === 'all') return `everything issued before ${target.issuedBefore}`;
  const what = `${target.kind} ${target.id}`;
  return target.issuedBefore === null ? what : `${what} as issued before ${target.issuedBefore}`;
}

function sentence({ entry, target }: ActiveRevocation): string {
  const { act, author, time } = entry.revocation;
  const because = act.reason === '' ? '' : `: ${act.reason}`;
  return `${describeTarget(target)} was revoked by ${author} at ${time}${because}`;
}

function instant(text: string | null): number {
  return text === null ? Number.POSITIVE_INFINITY : Date.parse(text);
}
