import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from './explain.ts';
import { decideNaively } from './naive.ts';
import { compileProgram, decide } from './program.ts';
import { createRandom, randomPolicies, randomQuestion } from './testing/random-policies.ts';

const PAIRS = Number(process.env['PALISADE_PROPERTY_PAIRS'] ?? 50_000);
const SEED = Number(process.env['PALISADE_PROPERTY_SEED'] ?? 20_260_101);
const QUESTIONS_PER_SET = 20;

test(`compiled and naive decisions agree on ${PAIRS} pairs of policies and questions`, () => {
  const seen = new Map<string, number>();
  for (let set = 0; set * QUESTIONS_PER_SET < PAIRS; set++) {
    const random = createRandom(SEED + set);
    const policies = randomPolicies(random);
    const options = { defaultAction: random() < 0.5 ? 'deny' : 'allow' } as const;
    const program = compileProgram(policies, options);
    for (let i = 0; i < QUESTIONS_PER_SET; i++) {
      const question = randomQuestion(random);
      const compiled = decide(program, question);
      const naive = decideNaively(policies, options, question);
      const about = () => `seed ${SEED + set}: ${JSON.stringify({ question, policies })}`;
      if (!isSame(compiled, naive)) assert.deepEqual(compiled, naive, about());
      seen.set(naive.reason, (seen.get(naive.reason) ?? 0) + 1);
    }
  }
  // A generator that never reaches an outcome would prove nothing about it.
  for (const reason of [
    'allowed_by_policy',
    'allowed_by_default',
    'policy_denied',
    'no_policy_allows',
    'default_deny',
  ]) {
    assert.ok((seen.get(reason) ?? 0) > PAIRS / 200, `${reason}: ${seen.get(reason)}`);
  }
});

test('every proposed change allows the call it was proposed for', () => {
  const kinds = new Map<string, number>();
  for (let set = 0; set < 400; set++) {
    const random = createRandom(SEED + 1_000_000 + set);
    const policies = randomPolicies(random);
    for (let i = 0; i < 5; i++) {
      const question = randomQuestion(random);
      const { decision, smallestChange } = explain(policies, { defaultAction: 'deny' }, question);
      assert.equal(smallestChange === undefined, decision.verdict === 'allow');
      if (smallestChange === undefined) continue;
      kinds.set(smallestChange.kind, (kinds.get(smallestChange.kind) ?? 0) + 1);
      if (question.source.id !== undefined) assert.notEqual(smallestChange.kind, 'none');
    }
  }
  for (const kind of ['add_policy', 'extend_rule', 'narrow_deny', 'none']) {
    assert.ok((kinds.get(kind) ?? 0) > 10, `${kind}: ${kinds.get(kind)}`);
  }
});

function isSame(a: ReturnType<typeof decide>, b: ReturnType<typeof decide>): boolean {
  return (
    a.verdict === b.verdict &&
    a.reason === b.reason &&
    a.policy === b.policy &&
    a.rule === b.rule &&
    JSON.stringify(a.dryRun) === JSON.stringify(b.dryRun)
  );
}
