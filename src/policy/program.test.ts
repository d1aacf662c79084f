import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyIr } from './ir.ts';
import { decideNaively } from './naive.ts';
import { compileProgram, decide } from './program.ts';
import type { Decision, Question } from './question.ts';
import { connection, idOf, policy, request, rule } from './testing/policies.ts';

type Case = {
  readonly policies: readonly PolicyIr[];
  readonly defaultAction?: 'deny' | 'allow';
  readonly question: Question;
  /** Verdict, reason and, where one determined it, `policy#rule`. */
  readonly wanted: string;
  readonly dryRun?: Decision['dryRun'];
};

function check(name: string, wantedCase: Case): void {
  test(name, () => {
    const { policies, question, defaultAction = 'deny' } = wantedCase;
    const program = compileProgram(policies, { defaultAction });
    for (const decision of [
      decide(program, question),
      decideNaively(policies, { defaultAction }, question),
    ]) {
      const by = decision.policy === undefined ? '' : ` ${decision.policy}#${decision.rule}`;
      assert.equal(`${decision.verdict} ${decision.reason}${by}`, wantedCase.wanted);
      assert.deepEqual(decision.dryRun, wantedCase.dryRun ?? []);
    }
  });
}

const WEB = 'cluster.local/ns/default/sa/web';
const allowWeb = policy('web', 'ALLOW', [rule({ principal: [WEB] }, { method: ['GET'] })]);
const denyAdmin = policy('admin', 'DENY', [rule(undefined, { path: ['/admin*'] })]);

check('no policy and a default of deny', {
  policies: [],
  question: request('web', 'GET /'),
  wanted: 'deny default_deny',
});
check('no policy and a default of allow', {
  policies: [],
  defaultAction: 'allow',
  question: request('web', 'GET /'),
  wanted: 'allow allowed_by_default',
});
check('an ALLOW rule that matches', {
  policies: [allowWeb],
  question: request('web', 'GET /'),
  wanted: 'allow allowed_by_policy default/web#0',
});
check('an ALLOW policy closes the workload whatever the default', {
  policies: [allowWeb],
  defaultAction: 'allow',
  question: request('web', 'POST /'),
  wanted: 'deny no_policy_allows',
});
check('DENY comes before ALLOW', {
  policies: [allowWeb, denyAdmin],
  question: request('web', 'GET /admin'),
  wanted: 'deny policy_denied default/admin#0',
});
check('a DENY policy alone leaves the default', {
  policies: [denyAdmin],
  defaultAction: 'allow',
  question: request('web', 'GET /'),
  wanted: 'allow allowed_by_default',
});
check('an ALLOW policy without rules allows nothing', {
  policies: [policy('none', 'ALLOW', [])],
  defaultAction: 'allow',
  question: request('web', 'GET /'),
  wanted: 'deny no_policy_allows',
});
check('an empty rule matches everything', {
  policies: [policy('all', 'ALLOW', [rule()])],
  question: request(undefined, 'GET /'),
  wanted: 'allow allowed_by_policy default/all#0',
});
check('the first matching rule is reported', {
  policies: [
    policy('p', 'ALLOW', [rule({ principal: ['x'] }), rule({ principal: ['*'] }), rule()]),
  ],
  question: request('web', 'GET /'),
  wanted: 'allow allowed_by_policy default/p#1',
});
check('a negation matches a caller without identity', {
  policies: [policy('p', 'DENY', [rule({ '!principal': ['*'] })])],
  defaultAction: 'allow',
  question: request(undefined, 'GET /'),
  wanted: 'deny policy_denied default/p#0',
});
check('an ALLOW rule with HTTP fields is void on TCP', {
  policies: [policy('p', 'ALLOW', [rule({ principal: [WEB] }, { '!path': ['/x'] })])],
  question: connection('web'),
  wanted: 'deny no_policy_allows',
});
check('a DENY rule loses its HTTP fields on TCP', {
  policies: [policy('p', 'DENY', [rule({ principal: [WEB] }, { path: ['/x'] })])],
  defaultAction: 'allow',
  question: connection('web'),
  wanted: 'deny policy_denied default/p#0',
});
check('a DENY rule keeps its other fields on TCP', {
  policies: [policy('p', 'DENY', [rule({ principal: [WEB] }, { path: ['/x'] })])],
  defaultAction: 'allow',
  question: connection('api'),
  wanted: 'allow allowed_by_default',
});
check('an ALLOW in dry-run does not close the workload', {
  policies: [policy('trial', 'ALLOW', [rule({ principal: [WEB] })], true)],
  defaultAction: 'allow',
  question: request('api', 'GET /'),
  wanted: 'allow allowed_by_default',
  dryRun: [{ policy: 'default/trial', verdict: 'deny' }],
});
check('a DENY in dry-run is only recorded', {
  policies: [allowWeb, policy('trial', 'DENY', [rule()], true)],
  question: request('web', 'GET /'),
  wanted: 'allow allowed_by_policy default/web#0',
  dryRun: [{ policy: 'default/trial', verdict: 'deny' }],
});
check('a dry-run says what it would do beside what is enforced', {
  policies: [denyAdmin, policy('trial', 'ALLOW', [rule()], true)],
  question: request('web', 'GET /admin'),
  wanted: 'deny policy_denied default/admin#0',
  dryRun: [{ policy: 'default/trial', verdict: 'deny' }],
});
check('a source address that is none cannot be judged', {
  policies: [policy('p', 'DENY', [rule({ '!ip': ['10.0.0.0/8'] })])],
  defaultAction: 'allow',
  question: { ...request('web', 'GET /'), source: { id: idOf('web'), ip: 'unix' } },
  wanted: 'deny cannot_decide',
});

test('without a program nothing is allowed', () => {
  const decision = decide(undefined, request('web', 'GET /'));
  assert.deepEqual([decision.verdict, decision.reason], ['deny', 'cannot_decide']);
});

test('an evaluator that throws denies', () => {
  const broken = {
    ...compileProgram([], { defaultAction: 'allow' }),
    evaluate: () => {
      throw new Error('broken');
    },
  };
  const decision = decide(broken, request('web', 'GET /'));
  assert.deepEqual([decision.verdict, decision.reason], ['deny', 'cannot_decide']);
});

test('a program still decides rightly after a question it could not decide', () => {
  const program = compileProgram([policy('p', 'ALLOW', [rule({ ip: ['127.0.0.0/8'] })])], {
    defaultAction: 'deny',
  });
  const good = request('web', 'GET /');
  assert.equal(decide(program, good).verdict, 'allow');
  const bad = { ...good, source: { id: idOf('web'), ip: 'nonsense' } };
  assert.equal(decide(program, bad).reason, 'cannot_decide');
  assert.equal(decide(program, good).verdict, 'allow');
});
