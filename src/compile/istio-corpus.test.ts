import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { parseTrustDomain, type SpiffeId, type TrustDomain } from '#identity';
import { compileProgram, decide, type PolicyIr, type Question } from '#policy';
import { type AuthorizationPolicyResource, parseResources } from '#resource';
import { compilePolicies } from './authorization-policy.ts';
import { type RbacRules, rbacAllows } from './testing/envoy-rbac.ts';

const CORPORA =
  process.env['PALISADE_CORPORA'] ?? resolve(import.meta.dirname, '../../../shared/corpora');
const FOLDER = join(CORPORA, 'istio-authz');
const QUESTIONS = 4_000;

// Istio made these files for the trust domain td1 with cluster.local as an alias.
const TRUST_DOMAIN = trustDomain('td1');
const WORKLOAD = {
  namespace: 'foo',
  service: 'httpbin',
  labels: { app: 'httpbin', version: 'v1' },
};

if (existsSync(FOLDER)) {
  for (const traffic of ['http', 'tcp'] as const) {
    const files = readdirSync(join(FOLDER, traffic)).filter((file) => file.endsWith('-in.yaml'));
    for (const file of files) {
      test(`Istio's ${traffic}/${file} gives the verdicts of the RBAC filters made from it`, (context) => {
        check(traffic, file.replace('-in.yaml', ''), context);
      });
    }
  }
} else {
  test("Istio's verdicts", { skip: `no corpus at ${FOLDER}` }, () => {});
}

type Documents = readonly Readonly<Record<string, unknown>>[];
type Rule = Readonly<Record<string, unknown>>;

function check(traffic: 'http' | 'tcp', name: string, context: TestContext): void {
  const authored = documents(traffic, `${name}-in.yaml`);
  const { policies, dropped } = supported(authored);
  for (const [field, count] of dropped.fields)
    context.diagnostic(`skipped ${count} rules with ${field}`);
  if (policies.length === 0) return context.skip('each rule has a field of a later release');
  const filters = filtersOf(traffic, name, dropped.rules);
  const compiled = compile(policies);
  const program = compileProgram(compiled, { defaultAction: 'allow' });
  const seen = new Set<boolean>();
  for (const question of questionsFor(policies, traffic)) {
    const decision = decide(program, question);
    const wanted = filters.every(
      (filter) => rbacAllows(filter.rules ?? {}, question) || filter.rules === undefined,
    );
    assert.equal(decision.verdict === 'allow', wanted, JSON.stringify({ question, decision }));
    for (const { shadowRules } of filters) {
      if (shadowRules === undefined) continue;
      const verdict = rbacAllows(shadowRules, question) ? 'allow' : 'deny';
      assert.equal(decision.dryRun[0]?.verdict, verdict);
    }
    seen.add(wanted);
  }
  context.diagnostic(
    `${QUESTIONS} questions agree, verdicts seen: ${[...seen].map((v) => (v ? 'allow' : 'deny')).join(', ')}`,
  );
}

function compile(policies: readonly unknown[]): readonly PolicyIr[] {
  const files = policies.map((policy, i) => ({ file: `${i}.json`, text: JSON.stringify(policy) }));
  const parsed = parseResources(files, { defaultNamespace: 'foo' });
  const errors = parsed.diagnostics.filter((found) => found.severity === 'error');
  assert.deepEqual(errors, []);
  const resources = parsed.resources.map(({ resource }) => resource as AuthorizationPolicyResource);
  const compiled = compilePolicies({
    policies: resources,
    workload: WORKLOAD,
    trustDomain: TRUST_DOMAIN,
    mesh: undefined,
  });
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return compiled.value;
}

type Filter = { readonly rules?: RbacRules; readonly shadowRules?: RbacRules };

/** The filters Istio made, without the policies of dropped rules. */
function filtersOf(traffic: string, name: string, dropped: ReadonlySet<string>): readonly Filter[] {
  const outputs = ['-out.yaml', '-out1.yaml', '-out2.yaml'].map((ending) => name + ending);
  return outputs
    .filter((file) => existsSync(join(FOLDER, traffic, file)))
    .flatMap((file) => documents(traffic, file))
    .map((filter) => filter['typedConfig'] as Filter)
    .map(({ rules, shadowRules }) => ({
      ...(rules === undefined ? {} : { rules: without(rules, dropped) }),
      ...(shadowRules === undefined ? {} : { shadowRules: without(shadowRules, dropped) }),
    }));
}

function without(rules: RbacRules, dropped: ReadonlySet<string>): RbacRules {
  const kept = Object.entries(rules.policies ?? {}).filter(([name]) => !dropped.has(name));
  return { ...rules, policies: Object.fromEntries(kept) };
}

type Supported = {
  readonly policies: readonly unknown[];
  readonly dropped: {
    readonly rules: ReadonlySet<string>;
    readonly fields: ReadonlyMap<string, number>;
  };
};

/** The policies without rules that need fields of later releases, which are counted by field. */
function supported(authored: Documents): Supported {
  const rules = new Set<string>();
  const fields = new Map<string, number>();
  const policies = authored.flatMap((policy): readonly unknown[] => {
    const { metadata, spec } = policy as unknown as {
      metadata: { name: string; namespace: string };
      spec: { rules?: readonly Rule[] };
    };
    const kept = (spec.rules ?? []).filter((rule, index) => {
      const unsupported = unsupportedFields(rule);
      for (const field of unsupported) fields.set(field, (fields.get(field) ?? 0) + 1);
      if (unsupported.length === 0) return true;
      rules.add(`ns[${metadata.namespace}]-policy[${metadata.name}]-rule[${index}]`);
      return false;
    });
    if (spec.rules === undefined) return [policy];
    return kept.length === 0 ? [] : [{ ...policy, spec: { ...spec, rules: kept } }];
  });
  return { policies, dropped: { rules, fields } };
}

function unsupportedFields(rule: Rule): readonly string[] {
  const text = JSON.stringify(rule);
  const later = [
    'when',
    'requestPrincipals',
    'notRequestPrincipals',
    'remoteIpBlocks',
    'notRemoteIpBlocks',
  ];
  return later.filter((field) => text.includes(`"${field}":`));
}

/** Questions made of the policies' own values: whole, cut, prolonged and with their stars filled. */
function questionsFor(policies: readonly unknown[], traffic: 'http' | 'tcp'): readonly Question[] {
  const callers = wordsOf(policies, /^(?:not)?(?:principals|namespaces|serviceAccounts)$/i);
  const methods = wordsOf(policies, /^(?:not)?methods$/i);
  const hosts = wordsOf(policies, /^(?:not)?hosts$/i);
  const paths = wordsOf(policies, /^(?:not)?paths$/i);
  return Array.from({ length: QUESTIONS }, (_, i) => ({
    source: { id: identityOf(i, pick(callers, i, 1)), ip: pick(ADDRESSES, i, 2) },
    connection: { tls: true, sni: undefined },
    request:
      traffic === 'tcp'
        ? undefined
        : { method: pick(methods, i, 3), host: pick(hosts, i, 4), path: pick(paths, i, 5) },
    destination: { port: pick(PORTS, i, 6) },
    nowMs: 0,
  }));
}

const ADDRESSES = ['1.2.3.4', '5.6.7.8', '10.0.0.1'];
const PORTS = [80, 90, 8080, 9090];

function wordsOf(value: unknown, fields: RegExp): readonly string[] {
  const words = new Set<string>(['other', '/']);
  const collect = (node: unknown, key: string): void => {
    if (typeof node === 'string') {
      if (!fields.test(key)) return;
      for (const fill of ['', 'x', 'x/y']) words.add(node.replaceAll(/\{\*\*?\}|\*/g, fill));
      for (const word of [node, `${node}x`, node.slice(0, -1)]) words.add(word);
    } else if (Array.isArray(node)) {
      for (const item of node) collect(item, key);
    } else if (typeof node === 'object' && node !== null) {
      for (const [name, item] of Object.entries(node)) collect(item, name);
    }
  };
  collect(value, '');
  return [...words];
}

function pick<T>(from: readonly T[], i: number, salt: number): T {
  const found = from[hash(i, salt) % from.length];
  assert.ok(found !== undefined);
  return found;
}

/** Identities as bare words, in the mesh's domain, in a namespace, as an account; one in eight is none. */
function identityOf(i: number, word: string): SpiffeId | undefined {
  const forms = [
    `spiffe://${word}`,
    `spiffe://${word.replace(/^cluster\.local/, 'td1')}`,
    `spiffe://td1/ns/${word}/sa/x`,
    `spiffe://td1/ns/foo/sa/${word}`,
    `spiffe://td1/ns/${word.replace('/', '/sa/')}`,
    `spiffe://td1/ns/${word.split('/')[0]}/sa/y/v2`,
    `spiffe://other/ns/foo/sa/${word}/v2`,
  ];
  const text = forms[hash(i, 9) % 8];
  // An alias of the trust domain is not among this release's settings.
  if (text === undefined || text.startsWith('spiffe://cluster.local')) return undefined;
  return {
    text,
    trustDomain: TRUST_DOMAIN,
    path: '',
    namespace: undefined,
    serviceAccount: undefined,
  };
}

function hash(i: number, salt: number): number {
  const mixed = Math.imul(i * 31 + salt * 7919 + 1, 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) >>> 9;
}

function documents(traffic: string, file: string): Documents {
  const text = readFileSync(join(FOLDER, traffic, file), 'utf8');
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Documents[number] | null)
    .filter((document) => document !== null);
}

function trustDomain(name: string): TrustDomain {
  const parsed = parseTrustDomain(name);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
