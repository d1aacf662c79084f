import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { compileSnapshot, type SnapshotInput } from '#compile';
import { parseTrustDomain, type TrustDomain, workloadSpiffeId } from '#identity';
import { parseResources, parseStoredResource, type Resource } from '#resource';
import type { Snapshot } from '#snapshot';
import { quantile } from './quantile.ts';

const POLICIES = 10_000;
const ROUNDS = 5;
const CHANGES = 40;

/**
 * What policies cost before the first decision: reading and compiling 10,000 that all apply to one
 * workload, one change after that, the memory of the rules, and `palisade validate` of 1,000 files.
 * Where the machine has other work, processor time says more than the clock, so both are given.
 */
export default async function run(): Promise<void> {
  const trustDomain = domain();
  const files = filesOf(10);
  const yaml = timed(() => parseResources(files, { defaultNamespace: 'default' }));
  const stored: unknown[] = yaml.value.resources.map(({ resource }) =>
    JSON.parse(JSON.stringify(resource)),
  );
  const resources = timed(() => stored.map(parsed));
  const compiled = Array.from({ length: ROUNDS }, () =>
    timed(() => compileAll(trustDomain, stored.map(parsed))),
  );
  const changes = timedChanges(trustDomain, resources.value);
  const rows: readonly (readonly [string, number, number])[] = [
    ['10,000 policies from YAML text', yaml.ms, yaml.cpuMs],
    ['the same from a stored set', resources.ms, resources.cpuMs],
    [
      'stored set to program',
      median(compiled.map(({ ms }) => ms)),
      median(compiled.map(({ cpuMs }) => cpuMs)),
    ],
    [
      'one change after that',
      median(changes.map(({ ms }) => ms)),
      median(changes.map(({ cpuMs }) => cpuMs)),
    ],
    ['validate of 1,000 files', ...validated()],
  ];
  console.log(`${''.padEnd(34)}${'ms'.padStart(10)}${'cpu ms'.padStart(10)}`);
  for (const [name, ms, cpuMs] of rows) {
    console.log(`${name.padEnd(34)}${ms.toFixed(1).padStart(10)}${cpuMs.toFixed(1).padStart(10)}`);
  }
  console.log(`10,000 rules hold ${heldMb(trustDomain).toFixed(1)} MB in a snapshot`);
  console.log(`policy ${rows[3]?.[2].toFixed(1)} ms`);
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function domain(): TrustDomain {
  const parsedDomain = parseTrustDomain('cluster.local');
  if (!parsedDomain.ok) throw new Error(parsedDomain.error);
  return parsedDomain.value;
}

type Timed<T> = { readonly value: T; readonly ms: number; readonly cpuMs: number };

function timed<T>(action: () => T): Timed<T> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const value = action();
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  return { value, ms, cpuMs: (user + system) / 1000 };
}

function policyText(i: number): string {
  return [
    'apiVersion: security.istio.io/v1',
    'kind: AuthorizationPolicy',
    `metadata: {name: p${i}, namespace: default}`,
    'spec:',
    '  selector: {matchLabels: {app: orders}}',
    '  action: ALLOW',
    '  rules:',
    `    - from: [{source: {principals: ["cluster.local/ns/team-${i % 40}/sa/service-${i % 1_000}"]}}]`,
    `      to: [{operation: {methods: [GET], paths: ["/api/v1/r${i}/*"]}}]`,
    '',
  ].join('\n');
}

function filesOf(count: number): readonly { readonly file: string; readonly text: string }[] {
  const each = POLICIES / count;
  return Array.from({ length: count }, (_, file) => ({
    file: `${file}.yaml`,
    text: Array.from({ length: each }, (_unused, i) => policyText(file * each + i)).join('---\n'),
  }));
}

function parsed(value: unknown): Resource {
  const result = parseStoredResource(value);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function compileAll(
  trustDomain: TrustDomain,
  resources: readonly Resource[],
  previous?: Snapshot,
): Snapshot {
  const input: SnapshotInput = {
    workload: {
      namespace: 'default',
      service: 'orders',
      id: workloadSpiffeId(trustDomain, 'default', 'orders'),
    },
    trustDomain,
    sets: new Map([['default', { number: 1, hash: '', resources }]]),
    lookups: [],
    appPort: undefined,
    previous,
  };
  const snapshot = compileSnapshot(input);
  if (!snapshot.ok) throw new Error(snapshot.error.join());
  return snapshot.value;
}

/** Each change is another policy's, on top of those before, as commits follow each other. */
function timedChanges(
  trustDomain: TrustDomain,
  resources: readonly Resource[],
): readonly Timed<Snapshot>[] {
  let current = resources;
  let snapshot = compileAll(trustDomain, current);
  return Array.from({ length: CHANGES }, (_, change) => {
    const at = (change * 251) % POLICIES;
    const text = policyText(at).replace('[GET]', '[GET, POST]');
    const [anew] = parseResources([{ file: 'f', text }], { defaultNamespace: 'default' }).resources;
    current = current.map((resource, i) => (i === at && anew ? anew.resource : resource));
    const one = timed(() => compileAll(trustDomain, current, snapshot));
    snapshot = one.value;
    return one;
  });
}

/** In a process of its own, as people call it. */
function validated(): readonly [number, number] {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-validate-'));
  try {
    for (let i = 0; i < 1_000; i++) writeFileSync(join(folder, `p${i}.yaml`), policyText(i));
    const main = fileURLToPath(new URL('../src/bin/palisade.ts', import.meta.url));
    const one = timed(() => {
      const child = spawnSync(process.execPath, ['-e', CHILD_CPU, main, 'validate', folder]);
      return Number(child.stdout.toString('utf8'));
    });
    return [one.ms, one.value];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Node.js tells the processor time of the process itself only, so the command runs in it.
const CHILD_CPU = `
  process.argv.splice(1, 0, process.argv[0]);
  process.argv.splice(0, 1);
  process.stdout.write = () => true;
  process.on('exit', () => {
    const { user, system } = process.cpuUsage();
    require('node:fs').writeSync(1, String((user + system) / 1000));
  });
  import(process.argv[1]);
`;

/** What 10,000 rules in 100 policies keep once compiled, besides their resources; needs --expose-gc. */
function heldMb(trustDomain: TrustDomain): number {
  const { gc } = globalThis as { readonly gc?: () => void };
  const texts = Array.from({ length: 100 }, (_, policy) => {
    const rules = Array.from(
      { length: 100 },
      (_unused, i) => policyText(policy * 100 + i).split('  rules:\n')[1],
    );
    return policyText(policy).replace(/ {2}rules:\n[^]*$/, `  rules:\n${rules.join('')}`);
  });
  const files = texts.map((text, i) => ({ file: `${i}`, text }));
  const resources = parseResources(files, { defaultNamespace: 'default' }).resources.map(
    ({ resource }) => resource,
  );
  const heldNow = (): number => {
    // What only weak references hold takes more than one round to go.
    for (let i = 0; i < 4; i++) gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = heldNow();
  const snapshot = compileAll(trustDomain, resources);
  const held = heldNow() - before;
  return snapshot.program.ruleCount === 10_000 ? held / 1e6 : Number.NaN;
}

if (import.meta.main) await run();
