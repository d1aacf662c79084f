import { performance } from 'node:perf_hooks';
import { parseSpiffeId, type SpiffeId } from '#identity';
import {
  compileProgram,
  type Decision,
  decide,
  type PolicyIr,
  type Program,
  parseCondition,
  type Question,
} from '#policy';

import { istioRbac } from '../src/compile/testing/istio-rbac.ts';
import { startOracleEnvoy } from '../test/system/istio-envoy.ts';

/**
 * Nanoseconds a decision with few and many rules. Each case cycles through 20,000 different
 * questions, allowed and denied, so that no cache of answers and no lucky branch can help; the
 * texts of requests are new strings, as they are when they come from the wire. The ratio compares
 * two policies of one meaning under the same traffic: 10 rules that each name 1,000 principals, and
 * 10,000 rules that each name one. The other rows show how much of the cost is the traffic's; those of one
 * ask a few questions over and over, as most traffic does, and show what the decision cache is worth.
 */
export default async function run(): Promise<void> {
  const measured = measure([
    { name: '10 rules, 1,000 principals', rules: 10, principals: 1_000 },
    { name: '10,000 rules, 1,000 principals', rules: 10_000, principals: 1_000 },
    { name: '10 rules, questions that repeat', rules: 10, principals: 10 },
    { name: '10 rules, 1 principal', rules: 10, principals: 1 },
    { name: '10,000 rules, 1 principal', rules: 10_000, principals: 1 },
  ]);
  console.log('case                              compile ms   allowed   ns/decision');
  for (const { name, compileMs, allowed, ns } of measured) {
    const share = `${Math.round(allowed * 100)} %`;
    console.log(
      `${name.padEnd(34)}${compileMs.toFixed(1).padStart(10)}${share.padStart(10)}${ns.toFixed(0).padStart(14)}`,
    );
  }
  const [few, many] = measured;
  const ratio = ((many?.ns ?? 0) / (few?.ns ?? 1)).toFixed(2);
  console.log(`${few?.ns.toFixed(0)} ns with 10 rules, ${ratio} times that with 10,000`);
  await besideEnvoy();
  console.log(`decide ${ratio} ratio`);
}

const ENVOY_REQUESTS = 1_000;

/**
 * What Envoy's RBAC filter spends on the same rules: its processor time a request with none, with 10
 * and with 10,000, of which the difference is the filter's. The caller is the one named last.
 */
async function besideEnvoy(): Promise<void> {
  const binary = process.env['ENVOY_BIN'];
  if (binary === undefined) return console.log('Envoy beside it: set ENVOY_BIN to its binary');
  const port = 20_000 + (process.pid % 10_000);
  const rules = [0, 10, 10_000].map((count) => ({ deny: undefined, allow: envoyRules(count) }));
  const envoy = await startOracleEnvoy(binary, port, rules);
  const caller = accountOf(0);
  const connection = { caller, ip: '127.0.0.1', localIp: '127.0.0.1', sni: 'orders' };
  const asked = {
    method: 'GET',
    host: 'orders',
    path: '/api/v1/r0/items',
    tenants: [],
    forwarded: [],
    claims: undefined,
  };
  try {
    const spent: number[] = [];
    for (const set of rules.keys()) {
      for (let i = 0; i < ENVOY_REQUESTS / 10; i++) await envoy.ask(set, connection, asked);
      const before = envoy.cpuUs();
      for (let i = 0; i < ENVOY_REQUESTS; i++) await envoy.ask(set, connection, asked);
      spent.push((envoy.cpuUs() - before) / ENVOY_REQUESTS);
    }
    const [none = 0, few = 0, many = 0] = spent;
    console.log(
      `Envoy, µs a request: ${none.toFixed(0)} without rules, ${few.toFixed(0)} with 10, ${many.toFixed(0)} with 10,000`,
    );
  } finally {
    envoy.close();
  }
}

/** Rules of one principal, method and subtree each; the one that matches is the last. */
function envoyRules(count: number): ReturnType<typeof istioRbac> {
  if (count === 0) return undefined;
  const rules = Array.from({ length: count }, (_, i) => ({
    from: [{ source: { principals: [accountOf(count - 1 - i)] } }],
    to: [{ operation: { methods: ['GET'], paths: [`/api/v1/r${count - 1 - i}/*`] } }],
  }));
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'orders', namespace: 'default' },
    spec: { rules },
  };
  return istioRbac([policy], 'ALLOW', ['cluster.local']);
}

type Case = { readonly name: string; readonly rules: number; readonly principals: number };
type Measured = {
  readonly name: string;
  readonly compileMs: number;
  readonly allowed: number;
  readonly ns: number;
};

const QUESTIONS = 20_000;
const BATCH = 100;
const WARM_UP = 10;
const ROUNDS = 50;
const METHODS = ['GET', 'POST', 'PUT', 'DELETE'];

/** Rounds of the cases take turns, so that whatever else the machine does meets them alike. */
function measure(cases: readonly Case[]): readonly Measured[] {
  const runs = cases.map((size) => {
    const policies = policiesOf(size);
    const started = performance.now();
    const program = compileProgram(policies, { defaultAction: 'deny' });
    const compileMs = performance.now() - started;
    return { name: size.name, compileMs, program, questions: questionsOf(size) };
  });
  const rounds = Array.from({ length: ROUNDS }, () => runs.map(oneRound));
  return runs.map(({ name, compileMs }, index) => {
    const warm = rounds.slice(WARM_UP).flatMap((round) => round[index] ?? []);
    const sorted = warm.map((round) => round.ns).sort((a, b) => a - b);
    const allowed = (warm[0]?.allowed ?? 0) / QUESTIONS;
    return { name, compileMs, allowed, ns: sorted[Math.floor(sorted.length / 4)] ?? 0 };
  });
}

function oneRound(run: { readonly program: Program; readonly questions: readonly Question[] }): {
  readonly ns: number;
  readonly allowed: number;
} {
  let spentNs = 0n;
  let allowed = 0;
  for (let at = 0; at < QUESTIONS; at += BATCH) {
    // A proxy makes its question right before it asks, so the question is in the cache.
    const batch = run.questions.slice(at, at + BATCH).map(asFromTheWire);
    const from = process.hrtime.bigint();
    for (const question of batch) {
      const decision: Decision = decide(run.program, question);
      if (decision.verdict === 'allow') allowed++;
    }
    spentNs += process.hrtime.bigint() - from;
  }
  return { ns: Number(spentNs) / QUESTIONS, allowed };
}

/** One policy a hundred rules, as people write them: a caller, methods, and a path or a subtree. */
function policiesOf(size: Case): readonly PolicyIr[] {
  const all = Array.from({ length: size.rules }, (_, index) => ruleOf(index, size));
  const policies: PolicyIr[] = [];
  for (let at = 0; at < all.length; at += 100) {
    policies.push(policyOf(`p${at}`, 'ALLOW', all.slice(at, at + 100)));
  }
  return policies;
}

function policyOf(name: string, action: PolicyIr['action'], rules: PolicyIr['rules']): PolicyIr {
  const origin = { labels: {}, annotations: {}, matchLabels: { app: 'orders' }, targets: [] };
  return {
    id: `default/${name}`,
    namespace: 'default',
    name,
    action,
    dryRun: false,
    rules,
    origin,
  };
}

/** Rule after rule names one principal, or with fewer rules than principals, all of them. */
function ruleOf(index: number, { rules, principals }: Case): PolicyIr['rules'][number] {
  const together = rules < principals;
  const resource = together ? index : Math.floor(index / principals);
  const path = resource % 3 === 0 ? `/api/v1/r${resource}` : `/api/v1/r${resource}/*`;
  const named = together ? Array.from({ length: principals }, (_, i) => i) : [index % principals];
  return {
    sources: [[condition('principal', named.map(accountOf))]],
    operations: [
      [
        condition('method', resource % 2 === 0 ? ['GET'] : ['GET', 'POST']),
        condition('path', [path]),
      ],
    ],
    when: [],
  };
}

function condition(field: 'principal' | 'method' | 'path', values: readonly string[]) {
  const scope = { trustDomain: 'cluster.local', namespace: 'default' };
  const parsed = parseCondition({ field, negated: false, values }, scope);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function accountOf(index: number): string {
  return `cluster.local/ns/team-${index % 40}/sa/service-${index}`;
}

/** Questions in no order that a cache line could follow; about half of them are allowed. */
function questionsOf({ rules, principals }: Case): readonly Question[] {
  const ids = Array.from({ length: principals }, (_, index) => idOf(accountOf(index)));
  const stranger = idOf('cluster.local/ns/other/sa/stranger');
  const resources = rules < principals ? rules : rules / principals;
  return Array.from({ length: QUESTIONS }, (_, i) => {
    const at = (i * 7919) % QUESTIONS;
    const id = at % 20 === 0 ? stranger : (ids[at % ids.length] ?? stranger);
    const resource = (at * 31) % resources;
    const path = resource % 3 === 0 ? `/api/v1/r${resource}` : `/api/v1/r${resource}/items/${at}`;
    return {
      source: { id, ip: '127.0.0.1' },
      connection: { tls: true, sni: undefined },
      request: {
        method: METHODS[at % 8 < 5 ? 0 : at % 4] ?? 'GET',
        host: 'orders',
        path: at % 11 === 0 ? `/admin/${at}` : path,
      },
      destination: { port: 80 },
      nowMs: 0,
    };
  });
}

function idOf(principal: string): SpiffeId {
  const parsed = parseSpiffeId(`spiffe://${principal}`);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** The same question with texts that nothing has hashed or flattened yet. */
function asFromTheWire(question: Question): Question {
  const { request } = question;
  if (request === undefined) return question;
  const path = Buffer.from(request.path, 'latin1').toString('latin1');
  const host = Buffer.from(request.host, 'latin1').toString('latin1');
  return { ...question, request: { ...request, path, host } };
}

if (import.meta.main) await run();
