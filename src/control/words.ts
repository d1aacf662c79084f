import type { Explanation } from '#policy';

/** A denied call, as far as words for it need to know. */
export type DeniedCall = {
  readonly source: string;
  readonly destination: string;
  readonly method: string | null;
  readonly path: string | null;
  readonly reason: string | null;
};

/** One sentence on who was stopped and why, without a full stop. */
export function denialSentence(call: DeniedCall, explanation: Explanation | undefined): string {
  const what = call.method === null ? 'connect to' : `${call.method} ${call.path ?? '/'} of`;
  return `${call.source} may not ${what} ${call.destination}: ${because(call, explanation)}`;
}

function because(
  { reason, destination }: DeniedCall,
  explanation: Explanation | undefined,
): string {
  const decision = explanation?.decision;
  switch (decision?.reason) {
    case 'policy_denied':
      return `rule ${decision.rule ?? 0} of ${decision.policy ?? 'a policy'} denies it`;
    case 'no_policy_allows':
      return `policies apply to ${destination}, and no rule of theirs allows it`;
    case 'default_deny':
      return `no policy allows anything of ${destination}, and the mesh denies by default`;
    case 'peer_unauthenticated':
      return 'the caller proved no identity';
    case 'allowed_by_policy':
    case 'allowed_by_default':
      return `it was denied then (${reason ?? 'no reason recorded'}), and the policy shown here allows it`;
    default:
      return reason === null ? 'no reason was recorded' : reason.replaceAll('_', ' ');
  }
}
