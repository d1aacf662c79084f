import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Explanation } from '#policy';
import { explanationText } from './explanation-text.ts';

test('a policy in dry-run is named only where it would change the verdict', () => {
  const dryRun = [
    { policy: 'default/same', verdict: 'deny' },
    { policy: 'default/other', verdict: 'allow' },
  ] as const;
  const decision = { verdict: 'deny', reason: 'default_deny', dryRun } as const;
  const explanation = { decision, considered: [] } as unknown as Explanation;
  const text = explanationText(explanation, (_color, word) => word);
  assert.match(text, /^dry run: default\/other would allow$/m);
  assert.doesNotMatch(text, /default\/same/);
});

test('what a provider said is told as its word, not as a rule that matched', () => {
  const check = (reason: string, want: RegExp): void => {
    const decision = { verdict: 'deny', reason, policy: 'default/ask', rule: 0, dryRun: [] };
    const considered = [
      { policy: 'default/ask', action: 'CUSTOM', dryRun: false, matched: true, rules: [] },
    ];
    const explanation = { decision, considered } as unknown as Explanation;
    assert.match(
      explanationText(explanation, (_color, word) => word),
      want,
    );
  };
  check('policy_denied', /^denied: the provider .* said no \(default\/ask, rule 0\)$/m);
  check('cannot_decide', /^denied: the provider .* gave no answer \(default\/ask, rule 0\)$/m);
});

test('where no change would allow the call, none is announced', () => {
  const decision = { verdict: 'deny', reason: 'cannot_decide', dryRun: [] };
  const smallestChange = { kind: 'none', sentence: 'no policy can help' };
  const explanation = { decision, considered: [], smallestChange } as unknown as Explanation;
  const text = explanationText(explanation, (_color, word) => word);
  assert.equal(text.split('\n').at(-1), 'no policy can help');
});
