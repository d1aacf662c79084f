// `npm run bench [-- NAME…]`: runs bench/NAME.ts, or all. Each prints its table and, last, one line with its result.
type Benchmark = () => Promise<void>;

const BENCHMARKS: Readonly<Record<string, () => Promise<{ readonly default: Benchmark }>>> = {
  decide: () => import('./decide.ts'),
  policy: () => import('./policy.ts'),
  jwt: () => import('./jwt.ts'),
  sidecar: () => import('./sidecar.ts'),
  grpc: () => import('./grpc.ts'),
  http2: () => import('./http2.ts'),
  attack: () => import('./attack.ts'),
  latency: () => import('./latency.ts'),
  bulk: () => import('./bulk.ts'),
  handshakes: () => import('./handshakes.ts'),
  propagate: () => import('./propagate.ts'),
  issue: () => import('./issue.ts'),
  rotate: () => import('./rotate.ts'),
  revoke: () => import('./revoke.ts'),
  audit: () => import('./audit.ts'),
  record: () => import('./record.ts'),
  sink: () => import('./sink.ts'),
  ingest: () => import('./ingest.ts'),
  query: () => import('./query.ts'),
  memory: () => import('./memory.ts'),
  start: () => import('./start.ts'),
  'workload-api': () => import('./workload-api.ts'),
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => BENCHMARKS[name] === undefined);
if (unknown.length > 0) {
  console.error(`there is no benchmark ${unknown.map((name) => `\`${name}\``).join(', ')}`);
  console.error(`  help: name some of ${Object.keys(BENCHMARKS).join(', ')}, or none for all`);
  process.exit(2);
}

for (const name of names.length > 0 ? names : Object.keys(BENCHMARKS)) {
  const { default: run } = (await BENCHMARKS[name]?.()) ?? {};
  await run?.();
}
