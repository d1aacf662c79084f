// The test runner: plain JavaScript, so that any Node.js from 20 on can start it. The tests themselves run under the
// pinned Node.js 24. `node test/run.js [system] [PART OF A PATH…]`
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SUITES = {
  // All that need no root and no server beyond what npm installed. The browser's part skips itself where there is none.
  unit: {
    folders: ['src', 'console/src', 'test/repo', 'test/console', 'test/corpus', 'test/fuzz'],
    concurrency: Math.max(2, availableParallelism()),
    timeoutMs: 180_000,
    limitMs: 900_000,
  },
  // Real processes and real peers: one file at a time, so that timings mean something.
  system: { folders: ['test/system'], concurrency: 1, timeoutMs: 900_000, limitMs: 2_400_000 },
};

const [first, ...others] = process.argv.slice(2);
const name = first === 'system' ? 'system' : 'unit';
const filters = first === undefined || first === 'system' ? others : [first, ...others];
runSuite(name, filters);

function runSuite(name, filters) {
  const suite = SUITES[name];
  const files = suite.folders.flatMap((folder) => testFiles(join(ROOT, folder))).sort();
  const wanted = files.filter(
    (file) => filters.length === 0 || filters.some((part) => file.includes(part)),
  );
  if (wanted.length === 0) {
    console.error(`no test file of the ${name} suite has a path with ${filters.join(' or ')}`);
    process.exit(2);
  }
  const node = pinnedNode();
  const started = Date.now();
  const child = spawn(node, [...runnerFlags(suite), ...wanted], { cwd: ROOT, stdio: 'inherit' });
  // A test file that neither passes nor ends must not hold up whoever waits: the runner's own limit is per test only.
  const limit = setTimeout(() => {
    console.error(`${name} tests: not over after ${suite.limitMs / 1000} s, ended`);
    child.kill('SIGTERM');
  }, suite.limitMs);
  limit.unref();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    const outcome = code === 0 ? 'passed' : `FAILED (${signal ?? `exit status ${code}`})`;
    console.log(
      `${name} tests ${outcome}: ${wanted.length} files, ${seconds} s, ${versionOf(node)}`,
    );
    process.exit(code ?? 1);
  });
}

function runnerFlags({ concurrency, timeoutMs }) {
  // Where it is named, a second run takes only what failed in the first: .ci/run does so, and says it.
  const state = process.env['PALISADE_TEST_STATE'];
  return [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${timeoutMs}`,
    ...(state ? [`--test-rerun-failures=${state}.${name}`] : []),
  ];
}

function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : testFiles(path);
    return entry.name.endsWith('.test.ts') ? [relative(ROOT, path)] : [];
  });
}

function pinnedNode() {
  const pinned = `node-linux-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(`${pinned}/bin/node`);
  } catch {
    if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
    console.error(
      `the tests need Node.js 24 or newer and this is ${process.version}: the pinned one (package \`${pinned}\`) is not installed\n` +
        '  help: run `npm ci` again (without --omit=optional), or put Node.js 24 first in PATH',
    );
    process.exit(2);
  }
}

function versionOf(node) {
  if (node === process.execPath) return process.version;
  return spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
}
