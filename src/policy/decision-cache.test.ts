import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '#identity';
import { DecisionCache, isCacheable } from './decision-cache.ts';
import { createNeeds } from './facts.ts';
import { decideNaively } from './naive.ts';
import { compileProgram, decide } from './program.ts';
import type { Decision, Question } from './question.ts';
import { createRandom, randomPolicies, randomQuestion } from './testing/random-policies.ts';

/** What an evaluator decided, by itself and through a cache, with how often it was asked. */
function counted(decideOne: (question: Question) => Decision) {
  let evaluated = 0;
  const evaluate = (question: Question): Decision => {
    evaluated++;
    return decideOne(question);
  };
  return { evaluate, evaluated: () => evaluated };
}

function decisionOf(policy: string): Decision {
  return {
    verdict: 'allow',
    reason: 'allowed_by_policy',
    policy,
    rule: 0,
    audit: undefined,
    exception: undefined,
    consult: [],
    dryRun: [],
  };
}

const web = idOf('web');

function idOf(account: string) {
  const parsed = parseSpiffeId(`spiffe://td/ns/default/sa/${account}`);
  assert.ok(parsed.ok);
  return parsed.value;
}

const BASE: Question = {
  source: { id: web, ip: '10.0.0.1' },
  connection: { tls: true, sni: 'orders' },
  request: { method: 'GET', host: 'orders', path: '/a' },
  destination: { port: 80 },
  nowMs: 0,
};

test('what differs in anything that is read is another question', () => {
  const { request, source, ...rest } = BASE;
  const variants: readonly Question[] = [
    BASE,
    { ...BASE, source: { ...source, id: idOf('api') } },
    { ...BASE, source: { ...source, id: undefined } },
    { ...BASE, source: { ...source, isForeign: true } },
    { ...BASE, source: { ...source, attestation: 'tpm' } },
    { ...BASE, source: { ...source, ip: '10.0.0.2' } },
    { ...BASE, connection: { tls: true, sni: undefined } },
    { ...BASE, request: request && { ...request, method: 'GOT' } },
    { ...BASE, request: request && { ...request, host: 'ordres' } },
    { ...BASE, request: request && { ...request, path: '/b' } },
    { ...rest, source, request: undefined },
    { ...BASE, destination: { port: 81 } },
  ];
  const numbers = new Map(variants.map((variant, i) => [variant, decisionOf(`${i}`)]));
  const { evaluate } = counted((question) => numbers.get(question) ?? decisionOf('unknown'));
  const cache = new DecisionCache({ ...createNeeds(), host: true, address: true }, evaluate);
  for (let round = 0; round < 5; round++) {
    for (const [i, variant] of variants.entries()) {
      assert.equal(cache.decide(variant).policy, `${i}`);
    }
  }
});

test('the third time nothing is evaluated, and a text cut out of a request is not kept', () => {
  const { evaluate, evaluated } = counted(() => decisionOf('p'));
  const cache = new DecisionCache(createNeeds(), evaluate);
  const ask = () => {
    const path = `${'x'.repeat(50_000)}/orders/1`.slice(50_000);
    const host = `h${evaluated()}`;
    return cache.decide({ ...BASE, request: { method: 'GET', host, path } });
  };
  for (let i = 0; i < 10; i++) assert.equal(ask().policy, 'p');
  assert.equal(evaluated(), 2, 'no rule reads the host');
});

test('attack: long paths take no place', () => {
  const { evaluate, evaluated } = counted(() => decisionOf('p'));
  const cache = new DecisionCache(createNeeds(), evaluate);
  const request = { method: 'GET', host: 'orders', path: `/${'x'.repeat(60_000)}` };
  for (let i = 0; i < 10; i++) cache.decide({ ...BASE, request });
  assert.equal(evaluated(), 10);
});

test('traffic that does not repeat itself is not looked up for a while, and then tried again', () => {
  const { evaluate, evaluated } = counted(() => decisionOf('p'));
  const cache = new DecisionCache(createNeeds(), evaluate);
  const at = (path: string): Question => ({ ...BASE, request: { method: 'GET', host: 'o', path } });
  for (let i = 0; i < 1_024; i++) cache.decide(at(`/${i}`));
  for (let i = 0; i < 65_536; i++) cache.decide(at('/same'));
  assert.equal(evaluated(), 1_024 + 65_536);
  for (let i = 0; i < 100; i++) cache.decide(at('/same'));
  assert.equal(evaluated(), 1_024 + 65_536 + 2);
});

test('what cannot be evaluated is not remembered', () => {
  let fails = true;
  const cache = new DecisionCache(createNeeds(), () => {
    if (fails) throw new Error('no');
    return decisionOf('p');
  });
  for (let i = 0; i < 3; i++) assert.throws(() => cache.decide(BASE));
  fails = false;
  assert.equal(cache.decide(BASE).policy, 'p');
});

test('programs that read the clock, headers, tokens or other addresses have none', () => {
  for (const need of [
    'headers',
    'claims',
    'time',
    'remoteAddress',
    'destinationAddress',
  ] as const) {
    assert.equal(isCacheable({ ...createNeeds(), [need]: true }), false, need);
  }
  assert.equal(isCacheable({ ...createNeeds(), host: true, address: true }), true);
});

test('programs asked again and again agree with the naive evaluator, also after a change of policy', () => {
  let cached = 0;
  for (let set = 0; set < 400; set++) {
    const random = createRandom(31_000_000 + set);
    const options = { defaultAction: 'deny' } as const;
    const questions = Array.from({ length: 8 }, () => randomQuestion(random));
    let policies = randomPolicies(random);
    let program = compileProgram(policies, options);
    for (let change = 0; change < 2; change++) {
      const { headers, claims, time, remoteIp, destinationIp } = program.reads;
      if (!(headers || claims || time || remoteIp || destinationIp)) cached++;
      for (let i = 0; i < 40; i++) {
        const question = questions[Math.floor(random() * questions.length)];
        assert.ok(question !== undefined);
        const wanted = decideNaively(policies, options, question);
        assert.deepEqual(decide(program, question), wanted, `set ${set}`);
      }
      policies = policies.slice(0, -1);
      program = compileProgram(policies, options, program);
    }
  }
  assert.ok(cached > 100, `${cached}`);
});
