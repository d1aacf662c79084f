import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideNaively } from './naive.ts';
import { decide } from './program.ts';
import { compileForSomeUser, decideForSomeUser } from './some-user.ts';
import { createRandom, randomPolicies, randomQuestion } from './testing/random-policies.ts';

test('what is allowed without a token is allowed to some user, and both evaluators agree who lacks one', () => {
  let asked = 0;
  let lacking = 0;
  for (let set = 0; set < 500; set++) {
    const random = createRandom(7_000_000 + set);
    const policies = randomPolicies(random);
    const options = { defaultAction: random() < 0.5 ? 'deny' : 'allow' } as const;
    const program = compileForSomeUser(policies, options);
    for (let i = 0; i < 10; i++) {
      const { request, ...rest } = randomQuestion(random);
      const question = { ...rest, request: request && { ...request, claims: undefined } };
      const real = decideNaively(policies, options, question);
      const supposed = decideForSomeUser(policies, options, question);
      if (real.verdict === 'allow') assert.equal(supposed.verdict, 'allow', `seed ${set}`);
      if (program === undefined) {
        if (real.reason !== 'cannot_decide') assert.equal(supposed.verdict, real.verdict);
        continue;
      }
      assert.equal(decide(program, question).verdict, supposed.verdict, `seed ${set}`);
      asked++;
      if (real.verdict === 'deny' && supposed.verdict === 'allow') lacking++;
    }
  }
  assert.ok(asked > 1_000 && lacking > 100, `${asked} asked, ${lacking} lack a token`);
});
