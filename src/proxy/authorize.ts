import type { PeerSvid, RevocationCheck, WorkloadIdentity } from '#identity';
import { type Consultation, type Decision, decide, type Question } from '#policy';
import type { Snapshot } from '#snapshot';
import type { Consulted } from './consult.ts';
import type { Failure } from './respond.ts';

/**
 * Proof that a call may pass. It is exported as a type only and its class is private to this file, so
 * only `authorize` and `authorizeOutgoing` make one, and forwarding without one does not compile.
 */
export type { Permit };

class Permit {
  // A private field makes the type nominal: no object literal is a Permit.
  readonly #granted = true;
  readonly decision: Decision | undefined;

  constructor(decision: Decision | undefined) {
    this.decision = decision;
  }

  /** INVARIANT: always true; an object that only looks like a permit throws here. */
  get granted(): boolean {
    return this.#granted;
  }
}

/** A call was judged: it may pass, or it may not and `failure` says what its caller is told. */
export type Ruling =
  | { readonly kind: 'permit'; readonly permit: Permit }
  | { readonly kind: 'refuse'; readonly failure: Failure; readonly decision: Decision | undefined };

/** These providers have to say yes before a call can be ruled on. */
export type ConsultFirst = {
  readonly kind: 'consult';
  readonly missing: readonly Consultation[];
  readonly decision: Decision;
  readonly question: Question;
};

/** What is enforced at this moment. */
export type Enforcement = {
  readonly snapshot: Snapshot | undefined;
  readonly identity: WorkloadIdentity | undefined;
  readonly nowMs: number;
  /** When the control plane was last heard of, ms since 1970; undefined if that is not judged. */
  readonly heardAt: number | undefined;
  /** Peers that count no more although their certificates have not expired. */
  readonly revocations: RevocationCheck | undefined;
};

/** Who calls: verified, on plaintext, or with a certificate that did not verify. */
export type Caller =
  | { readonly kind: 'verified'; readonly svid: PeerSvid }
  | { readonly kind: 'plaintext' }
  | { readonly kind: 'unverified'; readonly code: string };

const CLOCK_SKEW_MS = 60_000;

/** An incoming request or connection to judge. */
export type Incoming = {
  readonly caller: Caller;
  readonly question: Question;
  /** It was permitted before and goes on: that its caller's certificate ran out since is no reason. */
  readonly isUnderWay: boolean;
  /** Providers that said yes to this call. */
  readonly consented: ReadonlySet<string>;
  /** Called where there is a denial to name. */
  readonly denialId: () => string;
};

/** Judges an incoming request or connection. */
export function authorize(enforcement: Enforcement, incoming: Incoming): Ruling | ConsultFirst {
  const { caller, question, isUnderWay, consented, denialId } = incoming;
  const { snapshot, nowMs } = enforcement;
  const unable = whyUnable(enforcement);
  if (unable !== undefined || snapshot === undefined) {
    return refuse({ kind: 'cannot_decide', detail: unable ?? 'no_snapshot', denialId: denialId() });
  }
  if (caller.kind === 'unverified') {
    return refuse({ kind: 'peer_unauthenticated', detail: caller.code });
  }
  // A connection may outlive the certificate that opened it, but nothing new begins on it.
  const expiresAt = caller.kind === 'verified' && !isUnderWay ? caller.svid.expiresAt : undefined;
  if (expiresAt !== undefined && expiresAt + CLOCK_SKEW_MS < nowMs) {
    return refuse({ kind: 'peer_unauthenticated', detail: 'expired' });
  }
  const decision = decide(snapshot.program, question);
  // SECURITY: a CUSTOM policy comes before all others, and until its provider said yes nothing passes.
  const missing =
    decision.consult.length === 0
      ? decision.consult
      : decision.consult.filter(({ provider }) => !consented.has(provider));
  if (missing.length > 0) return { kind: 'consult', missing, decision, question };
  if (decision.verdict === 'allow') return { kind: 'permit', permit: new Permit(decision) };
  return { kind: 'refuse', decision, failure: denied(decision, { snapshot, question, denialId }) };
}

/** What the caller is told of a denial: where a user's token is all that it lacks, that it may come again with one. */
function denied(
  decision: Decision,
  about: Pick<Incoming, 'question' | 'denialId'> & { readonly snapshot: Snapshot },
): Failure {
  const denialId = about.denialId();
  if (decision.reason === 'cannot_decide') {
    return { kind: 'cannot_decide', detail: decision.reason, denialId };
  }
  const { userProgram, tokens } = about.snapshot;
  const { request } = about.question;
  const lacksToken =
    userProgram !== undefined &&
    request !== undefined &&
    request.claims === undefined &&
    decide(userProgram, about.question).verdict === 'allow';
  if (!lacksToken) return { kind: 'policy_denied', detail: decision.reason, denialId };
  // RFC 6750 section 3: without an error code, since no token came. RFC 9449 section 7.1.
  const challenge = tokens.every(({ dpop }) => dpop === 'require') ? 'DPoP' : 'Bearer';
  return { kind: 'token_invalid', detail: 'token_missing', challenge, denialId };
}

/** The ruling on a call that a provider denied, or did not judge. */
export function refuseConsulted(
  decision: Decision,
  outcome: Exclude<Consulted, { readonly kind: 'consent' }>,
  denialId: string,
): Ruling {
  const { policy, rule } = outcome.by;
  const reason = outcome.kind === 'denied' ? 'policy_denied' : 'cannot_decide';
  const detail = outcome.kind === 'denied' ? 'denied_by_provider' : outcome.detail;
  return {
    kind: 'refuse',
    decision: { ...decision, verdict: 'deny', reason, policy, rule },
    failure: { kind: reason, detail, denialId },
  };
}

/**
 * Judges an outgoing call. What it may reach is the destination's policy; here only a workload that
 * can prove who it is may call at all.
 */
export function authorizeOutgoing(enforcement: Enforcement): Ruling {
  const { snapshot, identity, nowMs } = enforcement;
  if (snapshot === undefined) return refuse({ kind: 'cannot_decide', detail: 'no_snapshot' });
  if (identity === undefined || identity.expiresAt <= nowMs) {
    return refuse({ kind: 'peer_unauthenticated', detail: 'own_identity_expired' });
  }
  if (enforcement.revocations?.(identity, nowMs) !== undefined) {
    return refuse({ kind: 'peer_unauthenticated', detail: 'own_identity_revoked' });
  }
  return OUTGOING;
}

/** Why nothing can be decided now, as a stable code; undefined if all is well. */
export function whyUnable(enforcement: Enforcement): string | undefined {
  const { snapshot, identity, nowMs, heardAt } = enforcement;
  if (snapshot === undefined) return 'no_snapshot';
  if (identity === undefined) return 'no_identity';
  if (identity.expiresAt <= nowMs) return 'own_identity_expired';
  if (enforcement.revocations?.(identity, nowMs) !== undefined) return 'own_identity_revoked';
  if (heardAt !== undefined && snapshot.staleness.then === 'deny') {
    if (nowMs - heardAt > snapshot.staleness.budgetMs) return 'policy_stale';
  }
  return undefined;
}

function refuse(failure: Failure): Ruling {
  return { kind: 'refuse', failure, decision: undefined };
}

const OUTGOING: Ruling = { kind: 'permit', permit: new Permit(undefined) };
