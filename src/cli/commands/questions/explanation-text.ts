import type { Explanation } from '#policy';
import type { painter } from '../../output.ts';
import { printable } from '../../output.ts';

const REASONS: Readonly<Record<string, string>> = {
  allowed_by_policy: 'a policy allows it',
  allowed_by_default: 'no ALLOW policy applies, and the mesh allows by default',
  policy_denied: 'a DENY policy matches',
  no_policy_allows: 'ALLOW policies apply, and none of their rules matches',
  default_deny: 'no ALLOW policy applies to this service, and the mesh denies by default',
  peer_unauthenticated: 'the caller proved no identity, and the service asks for one',
  token_invalid: 'the end user’s token is missing where policy asks for one, or not valid',
  cannot_decide: 'the decision could not be made',
};

/** Where it was a provider's word that counted. */
const ASKED_REASONS: typeof REASONS = {
  policy_denied: 'the provider that a CUSTOM policy asks said no',
  cannot_decide: 'the provider that a CUSTOM policy asks gave no answer',
};

/** A decision with its reasons, as lines for people. */
export function explanationText(
  explanation: Explanation,
  paint: ReturnType<typeof painter>,
): string {
  const { decision, considered, smallestChange } = explanation;
  const verdict = decision.verdict === 'allow' ? paint('green', 'allowed') : paint('red', 'denied');
  const by =
    decision.policy === undefined
      ? ''
      : ` (${decision.policy}${decision.rule === undefined ? '' : `, rule ${decision.rule}`})`;
  const asked = considered.some(
    ({ action, policy }) => action === 'CUSTOM' && policy === decision.policy,
  );
  const reasons = asked ? ASKED_REASONS : REASONS;
  return [
    `${verdict}: ${reasons[decision.reason] ?? decision.reason}${by}`,
    ...considered.flatMap((policy) => consideredText(policy, paint)),
    // A policy in dry-run that would leave the verdict as it is says nothing of this call.
    ...decision.dryRun
      .filter((dry) => dry.verdict !== decision.verdict)
      .map((dry) => `dry run: ${dry.policy} would ${dry.verdict}`),
    ...(smallestChange === undefined ? [] : ['', changeText(smallestChange)]),
    ...proposalLines(smallestChange),
  ].join('\n');
}

function changeText({ kind, sentence }: NonNullable<Explanation['smallestChange']>): string {
  // Where there is none, the sentence says why, and what to do instead.
  return kind === 'none'
    ? printable(sentence)
    : `smallest change that would allow it: ${printable(sentence)}`;
}

// A change of what is in force reads best as a difference; a new resource as itself.
function proposalLines(change: Explanation['smallestChange']): readonly string[] {
  const text = change?.kind === 'add_policy' ? change.yaml : (change?.diff ?? change?.yaml);
  return (text ?? '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => `  ${line}`);
}

function consideredText(
  policy: Explanation['considered'][number],
  paint: ReturnType<typeof painter>,
): readonly string[] {
  const outcome = policy.matched ? 'matches' : 'does not match';
  const lines = [
    `  ${policy.action} ${policy.policy}${policy.dryRun ? ' (dry run)' : ''} ${outcome}`,
  ];
  for (const rule of policy.rules) {
    if (rule.matched) lines.push(`    rule ${rule.rule} matches`);
    for (const reason of rule.failed)
      lines.push(paint('dim', `    rule ${rule.rule}: ${printable(reason)}`));
  }
  return lines;
}
