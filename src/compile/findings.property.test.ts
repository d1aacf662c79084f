import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideNaively, type PolicyIr } from '#policy';
import { crossCheck, parseResources } from '#resource';
import { authoredPolicies, DOMAINS } from './testing/authored-policies.ts';
import type { AuthoredPolicy, AuthoredRule } from './testing/istio-rbac.ts';
import { compileAuthored, createRandom } from './testing/oracle-policies.ts';
import { CONNECTIONS, oracleQuestion, oracleRequest } from './testing/oracle-requests.ts';

const [trustDomain, ...trustDomainAliases] = DOMAINS;
const MESH = {
  apiVersion: 'palisade.dev/v1',
  kind: 'Mesh',
  spec: { trustDomain, trustDomainAliases },
};
const ONLY_NAME = { ...MESH, spec: { trustDomain } };

/** What is said of rules that do nothing, each as the rule and the code. */
function findings(policies: readonly AuthoredPolicy[], mesh: object) {
  const files = [mesh, ...policies].map((one) => ({ file: 'f', text: JSON.stringify(one) }));
  const { resources } = parseResources(files, { defaultNamespace: 'foo' });
  return crossCheck(resources, []).filter(({ code }) => DO_NOTHING.has(code));
}

const DO_NOTHING = new Set(['allow_dead', 'deny_shadowed', 'never_matches']);

function policy(name: string, action: string, rules: readonly AuthoredRule[]): AuthoredPolicy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'foo' },
    spec: { action, rules: [...rules] },
  } as AuthoredPolicy;
}

/** Whether a rule by itself matches the question. */
function matches(ir: PolicyIr | undefined, question: Parameters<typeof decideNaively>[2]): boolean {
  if (ir === undefined) return false;
  const alone: PolicyIr = { ...ir, action: 'ALLOW' };
  return decideNaively([alone], { defaultAction: 'deny' }, question).verdict === 'allow';
}

test('a rule that is said to do nothing never does anything, for thousands of requests', () => {
  const said = new Map<string, number>();
  for (let set = 0; set < 1_200; set++) {
    const random = createRandom(90_000 + set);
    const [wide, narrow] = [0, 1].map(
      () => authoredPolicies(random, ['8443'])[0]?.spec.rules?.[0] ?? {},
    );
    if (wide === undefined || narrow === undefined) continue;
    const action = set % 2 === 0 ? 'ALLOW' : 'DENY';
    // Half of them have conditions of the wide rule too, or they would rarely meet.
    const held = random() < 0.5 ? narrow : { ...narrow, ...wide };
    const authored = [policy('a', 'DENY', [wide]), policy('b', action, [held])];
    const found = findings(authored, MESH).filter(({ help }) => help !== undefined);
    if (found.length === 0) continue;
    const [a, b] = compileAuthored(authored);
    const dead = found.filter(({ code }) => code !== 'never_matches');
    // Of two DENY rules either may be the one that is covered.
    const [covering, covered] = dead[0]?.message.includes('`foo/b`') === true ? [b, a] : [a, b];
    for (const { code } of found) said.set(code, (said.get(code) ?? 0) + 1);
    for (let i = 0; dead.length > 0 && i < 40; i++) {
      const connection = CONNECTIONS[i % CONNECTIONS.length];
      const question = connection && oracleQuestion(connection, oracleRequest(random), 8443);
      if (question === undefined || !matches(covered, question)) continue;
      assert.ok(
        matches(covering, question),
        `set ${set}: ${JSON.stringify({ authored, question })}`,
      );
    }
  }
  for (const code of ['allow_dead', 'deny_shadowed', 'never_matches']) {
    assert.ok((said.get(code) ?? 0) > 10, `${code}: ${said.get(code)}`);
  }
});

test('a rule that is said never to match never matches', () => {
  let said = 0;
  for (let set = 0; set < 1_500; set++) {
    const random = createRandom(190_000 + set);
    const rule = authoredPolicies(random, ['8443'])[0]?.spec.rules?.[0] ?? {};
    const single = {
      ...(rule.from !== undefined && { from: rule.from.slice(0, 1) }),
      ...(rule.to !== undefined && { to: rule.to.slice(0, 1) }),
      ...(rule.when !== undefined && { when: rule.when }),
    };
    const authored = [policy('a', 'ALLOW', [single])];
    if (!findings(authored, ONLY_NAME).some(({ code }) => code === 'never_matches')) continue;
    said++;
    const [a] = compileAuthored(authored);
    for (let i = 0; i < 40; i++) {
      const connection = CONNECTIONS[i % CONNECTIONS.length];
      const question = connection && oracleQuestion(connection, oracleRequest(random), 8443);
      if (question === undefined) continue;
      assert.ok(!matches(a, question), `set ${set}: ${JSON.stringify({ authored, question })}`);
    }
  }
  assert.ok(said > 10, `${said}`);
});
