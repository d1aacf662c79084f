import { parseSpiffeId, type SpiffeId, type TrustDomain } from '#identity';
import { fail, ok, type Result } from '#lib';
import type { Explanation } from '#policy';
import type { PolicyTest, PolicyTestCase, PolicyTestExpectation } from '#resource';
import { type CheckInput, checkCall } from './check.ts';
import type { ResourceSets } from './input.ts';

/** What a case came to. `problems` are sentences, none where all is as expected. */
export type PolicyTestResult = {
  readonly suite: string;
  readonly name: string;
  readonly passed: boolean;
  readonly problems: readonly string[];
  /** Undefined where the question could not be read. */
  readonly explanation: Explanation | undefined;
  /** The expectation's place in its suite. */
  readonly index: number;
};

/** The policy that cases are held against. */
export type PolicyTestInput = {
  readonly sets: ResourceSets;
  readonly trustDomain: TrustDomain;
  /** For cases that name no time. */
  readonly nowMs: number;
};

/** Holds every case of a test against the policy, with the proxies' own engine. */
export function runPolicyTest(
  test: PolicyTest,
  input: PolicyTestInput,
): readonly PolicyTestResult[] {
  const { namespace, name: suite } = test.metadata;
  return test.cases.map((one, index) => {
    const answer = answerCase(one, namespace, input);
    const problems = answer.ok ? differences(one.expect, answer.value, namespace) : [answer.error];
    const explanation = answer.ok ? answer.value : undefined;
    return { suite, name: one.name, passed: problems.length === 0, problems, explanation, index };
  });
}

/** `web`, `shop/web` or a whole SPIFFE ID with or without `spiffe://`; nothing is a caller without identity. */
export function parseCaller(
  text: string | undefined,
  namespace: string,
  trustDomain: TrustDomain,
): Result<SpiffeId | undefined, string> {
  if (text === undefined) return ok(undefined);
  if (text.startsWith('spiffe://')) return parseSpiffeId(text);
  if (text.includes('/ns/')) return parseSpiffeId(`spiffe://${text}`);
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0)
    return fail(`\`${text}\` names no caller: write web, shop/web or a SPIFFE ID`);
  const [inside, account] = second === undefined ? [namespace, first] : [first, second];
  return parseSpiffeId(`spiffe://${trustDomain}/ns/${inside}/sa/${account}`);
}

function answerCase(
  one: PolicyTestCase,
  namespace: string,
  { sets, trustDomain, nowMs }: PolicyTestInput,
): Result<Explanation, string> {
  const from = parseCaller(one.from, namespace, trustDomain);
  if (!from.ok) return from;
  return checkCall({
    sets,
    trustDomain,
    from: from.value,
    to: one.to,
    namespace,
    request: requestOf(one),
    port: one.port,
    sourceIp: one.sourceIp,
    remoteIp: one.remoteIp,
    destinationIp: one.destinationIp,
    attestation: one.attestation,
    sni: one.sni,
    labels: one.labels,
    nowMs: one.at === undefined ? nowMs : Date.parse(one.at),
  });
}

function requestOf({ request }: PolicyTestCase): CheckInput['request'] {
  if (request === undefined) return undefined;
  const { method = 'GET', path = '/', headers = {}, claims } = request;
  const named = Object.entries(headers).find(([name]) => name.toLowerCase() === 'host')?.[1];
  const host = request.host ?? (typeof named === 'string' ? named : named?.[0]);
  return { method, path, host, headers, claims };
}

function differences(
  expected: PolicyTestExpectation,
  { decision }: Explanation,
  namespace: string,
): readonly string[] {
  const problems: string[] = [];
  const compare = (what: string, wanted: unknown, got: unknown): void => {
    if (wanted === undefined || wanted === got) return;
    problems.push(`${what}: expected \`${wanted}\`, got \`${got ?? 'none'}\``);
  };
  compare('verdict', expected.verdict, decision.verdict);
  compare('policy', fullName(expected.policy, namespace), decision.policy);
  compare('rule', expected.rule, decision.rule);
  compare('reason', expected.reason, decision.reason);
  for (const [policy, verdict] of Object.entries(expected.dryRun ?? {})) {
    const name = fullName(policy, namespace);
    const got = decision.dryRun.find((dry) => dry.policy === name)?.verdict;
    compare(`dry run of \`${policy}\``, verdict, got);
  }
  return problems;
}

function fullName(policy: string | undefined, namespace: string): string | undefined {
  return policy === undefined || policy.includes('/') ? policy : `${namespace}/${policy}`;
}
