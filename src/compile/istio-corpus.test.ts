import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { parseTrustDomain, type SpiffeId, type TrustDomain } from '#identity';
import {
  type Claims,
  compileProgram,
  decide,
  type PolicyIr,
  type Question,
  type RequestHeaders,
} from '#policy';
import { type AuthorizationPolicyResource, type MeshResource, parseResources } from '#resource';
import { compilePolicies } from './authorization-policy.ts';
import { type RbacRules, rbacAllows } from './testing/envoy-rbac.ts';
import { withoutEnvoyFilters } from './testing/without-envoy-filters.ts';

const CORPORA =
  process.env['PALISADE_CORPORA'] ?? resolve(import.meta.dirname, '../../../shared/corpora');
const FOLDER = join(CORPORA, 'istio-authz');
const QUESTIONS = 4_000;

// Istio made these files for the trust domain td1, those of aliases with cluster.local as another name.
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

function check(traffic: 'http' | 'tcp', name: string, context: TestContext): void {
  const authored = documents(traffic, `${name}-in.yaml`);
  const policies = authored.map(withoutEnvoyFilters);
  const filters = filtersOf(traffic, name);
  const compiled = compile(policies, name.includes('td-aliases') ? ['cluster.local'] : []);
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

function compile(policies: readonly unknown[], aliases: readonly string[]): readonly PolicyIr[] {
  const files = policies.map((policy, i) => ({ file: `${i}.json`, text: JSON.stringify(policy) }));
  const parsed = parseResources(files, { defaultNamespace: 'foo' });
  const errors = parsed.diagnostics.filter((found) => found.severity === 'error');
  assert.deepEqual(errors, []);
  const resources = parsed.resources.map(({ resource }) => resource as AuthorizationPolicyResource);
  const compiled = compilePolicies({
    policies: resources,
    workload: WORKLOAD,
    trustDomain: TRUST_DOMAIN,
    mesh: meshWith(aliases),
  });
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return compiled.value;
}

function meshWith(trustDomainAliases: readonly string[]): MeshResource {
  const text = JSON.stringify({
    apiVersion: 'palisade.dev/v1',
    kind: 'Mesh',
    spec: { trustDomain: 'td1', ...(trustDomainAliases.length > 0 && { trustDomainAliases }) },
  });
  const [mesh] = parseResources([{ file: 'mesh', text }], { defaultNamespace: 'x' }).resources;
  assert.equal(mesh?.resource.kind, 'Mesh');
  return mesh.resource as MeshResource;
}

type Filter = { readonly rules?: RbacRules; readonly shadowRules?: RbacRules };

/** The filters Istio made. */
function filtersOf(traffic: string, name: string): readonly Filter[] {
  const outputs = ['-out.yaml', '-out1.yaml', '-out2.yaml'].map((ending) => name + ending);
  return outputs
    .filter((file) => existsSync(join(FOLDER, traffic, file)))
    .flatMap((file) => documents(traffic, file))
    .map((filter) => withoutEnvoyFilters(filter['typedConfig']) as Filter);
}

/** Questions made of the policies' own values: whole, cut, prolonged and with their stars filled. */
function questionsFor(policies: readonly unknown[], traffic: 'http' | 'tcp'): readonly Question[] {
  const callers = wordsOf(policies, /^(?:not)?(?:principals|namespaces|serviceAccounts)$/i);
  const methods = wordsOf(policies, /^(?:not)?methods$/i);
  const hosts = wordsOf(policies, /^(?:not)?hosts$/i);
  const paths = wordsOf(policies, /^(?:not)?paths$/i);
  const others = wordsOf(policies, /^(?:not)?(?:values|requestPrincipals)$/i);
  const headers = namesOf(policies, /request\.headers\[([^\]]+)\]/g);
  return Array.from({ length: QUESTIONS }, (_, i) => ({
    source: {
      id: identityOf(i, pick(callers, i, 1)),
      ip: pick(ADDRESSES, i, 2),
      remoteIp: pick(ADDRESSES, i, 10),
    },
    connection: { tls: true, sni: i % 3 === 0 ? undefined : pick(others, i, 11) },
    request:
      traffic === 'tcp'
        ? undefined
        : {
            method: pick(methods, i, 3),
            host: pick(hosts, i, 4),
            path: pick(paths, i, 5),
            headers: headersOf(headers, i % 4 === 0 ? [] : [pick(others, i, 12)]),
            claims: i % 5 === 0 ? undefined : claimsOf(others, i),
          },
    destination: { port: pick(PORTS, i, 6), ip: pick(ADDRESSES, i, 13) },
    nowMs: 0,
  }));
}

function headersOf(names: readonly string[], lines: readonly string[]): RequestHeaders {
  return {
    collect(name, into) {
      if (names.includes(name)) into.push(...lines);
    },
  };
}

function claimsOf(words: readonly string[], i: number): Claims {
  const word = (salt: number) => pick(words, i, salt);
  const one = i % 2 === 0 ? word(14) : [word(14), word(15)];
  const [issuer, ...subject] = word(16).split('/').reverse();
  return {
    iss: i % 7 === 0 ? word(17) : subject.reverse().join('/'),
    sub: i % 11 === 0 ? '' : (issuer ?? ''),
    aud: one,
    azp: word(18),
    nested1: { nested2: one },
    'nested-a': { 'nested-b': one },
  };
}

function namesOf(policies: readonly unknown[], pattern: RegExp): readonly string[] {
  const found = JSON.stringify(policies).matchAll(pattern);
  return [...found].map((match) => (match[1] ?? '').toLowerCase());
}

const ADDRESSES = ['1.2.3.4', '5.6.7.8', '10.0.0.1', '10.10.10.10', '192.168.10.7', '9.0.0.1'];
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
  if (text === undefined) return undefined;
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
