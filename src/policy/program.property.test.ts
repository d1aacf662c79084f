import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from './explain.ts';
import type { PolicyIr } from './ir.ts';
import { decideNaively } from './naive.ts';
import { compileProgram, decide } from './program.ts';
import type { Decision } from './question.ts';
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
      for (const outcome of outcomesOf(naive)) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
  }
  // A generator that never reaches an outcome would prove nothing about it.
  for (const reason of [
    'allowed_by_policy',
    'allowed_by_default',
    'policy_denied',
    'no_policy_allows',
    'default_deny',
    'cannot_decide',
    'audit',
    'exception',
    'consult',
  ]) {
    assert.ok((seen.get(reason) ?? 0) > PAIRS / 200, `${reason}: ${seen.get(reason)}`);
  }
});

test('a program brought up to date agrees with one compiled anew', () => {
  let overlaid = 0;
  for (let set = 0; set < 40; set++) {
    const random = createRandom(SEED + 2_000_000 + set);
    const options = { defaultAction: random() < 0.5 ? 'deny' : 'allow' } as const;
    const plain = () =>
      Array.from({ length: 12 }, () => randomPolicies(random))
        .flat()
        .filter(isPlain);
    const named = (policies: readonly PolicyIr[]) =>
      policies.map((policy, i) => ({ ...policy, id: `default/p${String(i).padStart(3, '0')}` }));
    let policies: readonly PolicyIr[] = named(plain());
    let program = compileProgram(policies, options);
    for (let change = 0; change < 4; change++) {
      const at = Math.floor(random() * policies.length);
      const fresh = named(plain()).find((policy) => policy.rules.length > 0);
      const kind = random();
      policies = policies.flatMap((policy, i) => {
        if (i !== at) return policy;
        if (fresh === undefined || kind < 0.3) return [];
        const changed = { ...fresh, id: policy.id };
        return kind < 0.7 ? changed : [policy, { ...fresh, id: `${policy.id}-${change}` }];
      });
      const before = program;
      program = compileProgram(policies, options, before);
      assert.equal(compileProgram(policies, options, program), program, 'nothing changed');
      overlaid += policies.length > 16 ? 1 : 0;
      for (let i = 0; i < 20; i++) {
        const question = randomQuestion(random);
        const wanted = decideNaively(policies, options, question);
        const found = decide(program, question);
        // A header that only a policy that is gone asked for is still read, and may be missing.
        if (found.reason === 'cannot_decide') continue;
        if (!isSame(found, wanted)) assert.deepEqual(found, wanted, `seed ${SEED + set}`);
      }
    }
  }
  assert.ok(overlaid > 60, `${overlaid} times`);
});

function isPlain(policy: PolicyIr): boolean {
  const isEither = policy.action === 'ALLOW' || policy.action === 'DENY';
  return isEither && !policy.dryRun && (policy.exceptions ?? []).length === 0;
}

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
      const hopeless = question.source.id === undefined || decision.reason === 'cannot_decide';
      if (!hopeless) assert.notEqual(smallestChange.kind, 'none');
    }
  }
  for (const kind of ['add_policy', 'extend_rule', 'narrow_deny', 'none']) {
    assert.ok((kinds.get(kind) ?? 0) > 10, `${kind}: ${kinds.get(kind)}`);
  }
});

function outcomesOf(decision: Decision): readonly string[] {
  return [
    decision.reason,
    ...(decision.audit === undefined ? [] : ['audit']),
    ...(decision.exception === undefined ? [] : ['exception']),
    ...(decision.consult.length === 0 ? [] : ['consult']),
  ];
}

function isSame(a: Decision, b: Decision): boolean {
  return (
    a.verdict === b.verdict &&
    a.reason === b.reason &&
    a.policy === b.policy &&
    a.rule === b.rule &&
    a.audit === b.audit &&
    a.exception === b.exception &&
    JSON.stringify(a.consult) === JSON.stringify(b.consult) &&
    JSON.stringify(a.dryRun) === JSON.stringify(b.dryRun)
  );
}
