import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { compileProgram, decide } from '#policy';
import { authoredPolicies, DOMAINS } from './testing/authored-policies.ts';
import { type RbacRules, rbacAllows } from './testing/envoy-rbac.ts';
import { type AuthoredPolicy, istioRbac } from './testing/istio-rbac.ts';
import { compileAuthored, createRandom } from './testing/oracle-policies.ts';
import { CONNECTIONS, oracleQuestion, oracleRequest } from './testing/oracle-requests.ts';
import { withoutEnvoyFilters } from './testing/without-envoy-filters.ts';

const CORPORA =
  process.env['PALISADE_CORPORA'] ?? resolve(import.meta.dirname, '../../../shared/corpora');
const FOLDER = join(CORPORA, 'istio-authz/http');
const PAIRS = Number(process.env['PALISADE_ORACLE_PAIRS'] ?? 20_000);
const REQUESTS_PER_SET = 20;
const PORT = 8443;

/** Translations of the corpus that ours is held against; the others have several actions or aliases. */
const skipped = existsSync(FOLDER) ? false : `no corpus at ${FOLDER}`;

test("our writing of Istio's translation makes the corpus's filters", { skip: skipped }, () => {
  const inputs = readdirSync(FOLDER).filter((file) => file.endsWith('-in.yaml'));
  for (const file of inputs) {
    const name = file.replace('-in.yaml', '');
    const policies = withoutEnvoyFilters(documents(file)) as readonly AuthoredPolicy[];
    // The aliases' file was made with one, the others with no policy that could tell.
    const domains = name.includes('td-aliases') ? ['td1', 'cluster.local'] : ['td1'];
    const made = (['DENY', 'ALLOW'] as const).flatMap((action) => {
      const rules = istioRbac(policies, action, domains);
      return rules === undefined ? [] : [unordered(rules)];
    });
    const wanted = ['-out.yaml', '-out1.yaml', '-out2.yaml']
      .filter((ending) => existsSync(join(FOLDER, name + ending)))
      .flatMap((ending) => documents(name + ending))
      .map((filter) => {
        const { rules, shadowRules } = filter['typedConfig'] as Record<string, RbacRules>;
        return unordered(withoutEnvoyFilters(rules ?? shadowRules));
      });
    assert.deepEqual(made, wanted, file);
  }
});

test(`${PAIRS} requests get the verdicts of the filters that Istio would make`, () => {
  const seen = new Map<string, number>();
  for (let set = 0; set * REQUESTS_PER_SET < PAIRS; set++) {
    const random = createRandom(7_000 + set);
    const authored = authoredPolicies(random, [`${PORT}`, '9999']);
    const program = compileProgram(compileAuthored(authored), { defaultAction: 'allow' });
    const filters = (['DENY', 'ALLOW'] as const).flatMap(
      (action) => istioRbac(authored, action, DOMAINS) ?? [],
    );
    for (let i = 0; i < REQUESTS_PER_SET; i++) {
      const connection = CONNECTIONS[i % CONNECTIONS.length];
      assert.ok(connection !== undefined);
      const request = oracleRequest(random);
      const question = oracleQuestion(connection, request, PORT);
      if (question === undefined) continue;
      const wanted = filters.every((rules) => rbacAllows(rules, question)) ? 'allow' : 'deny';
      const { verdict } = decide(program, question);
      if (verdict !== wanted) {
        assert.fail(
          `${verdict}, not ${wanted}: ${JSON.stringify({ connection, request, authored })}`,
        );
      }
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
    }
  }
  for (const verdict of ['allow', 'deny']) assert.ok((seen.get(verdict) ?? 0) > PAIRS / 20);
});

function documents(file: string): readonly Readonly<Record<string, unknown>>[] {
  return parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8'))
    .map((document) => document.toJS() as Readonly<Record<string, unknown>> | null)
    .filter((document) => document !== null);
}

/** Conditions hold in any order: lists are compared as sets. */
function unordered(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(unordered).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, unordered(item)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
