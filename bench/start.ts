// How long people wait: until `palisade up` is ready, and how much `palisade run` adds to an application's own start.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIN, start, startTestMesh, type TestMesh } from '../test/system/mesh.ts';
import { quantile } from './quantile.ts';

const ROUNDS = 7;
const LIMIT_MS = 30_000;
const PALISADE = [process.execPath, BIN] as const;
const APPLICATION = [process.execPath, '-e', 'console.log("started")'] as const;

/** Prints the medians and, last, `start <seconds> s`: until a new mesh is ready. */
export default async function run(): Promise<void> {
  const first: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const dataDir = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
    first.push(await timeUp(dataDir));
    again.push(await timeUp(dataDir));
    rmSync(dataDir, { recursive: true, force: true });
  }
  const { bare, registering, registered } = await timeRuns();
  const added = quantile(registered, 0.5) - quantile(bare, 0.5);
  print('`up` on a new data folder', first);
  print('`up` on one that has a mesh', again);
  print('an application by itself', bare);
  print('`run` of a service nobody registered', registering);
  print('`run` of a registered one', registered);
  console.log(`\`run\` adds ${added.toFixed(0)} ms to the application's own start`);
  console.log(`start ${(quantile(first, 0.5) / 1000).toFixed(2)} s`);
}

async function timeUp(dataDir: string): Promise<number> {
  const begin = performance.now();
  const up = start([...PALISADE, 'up', '--data', dataDir, '--port', '0']);
  await up.printed(/^ready /m, LIMIT_MS);
  const took = performance.now() - begin;
  await up.stop();
  return took;
}

async function timeRuns(): Promise<Record<'bare' | 'registering' | 'registered', number[]>> {
  const mesh = await startTestMesh();
  const times = { bare: [], registering: [], registered: [] } as Record<
    'bare' | 'registering' | 'registered',
    number[]
  >;
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const service = `app-${round}`;
      times.bare.push(await timeApplication(APPLICATION));
      times.registering.push(await timeApplication(runOf(mesh, service)));
      times.registered.push(await timeApplication(runOf(mesh, service)));
    }
    return times;
  } finally {
    await mesh.close();
  }
}

function runOf({ dataDir }: TestMesh, service: string): readonly string[] {
  return [...PALISADE, 'run', '--data', dataDir, '--service', service, '--', ...APPLICATION];
}

async function timeApplication(command: readonly string[]): Promise<number> {
  const begin = performance.now();
  const application = start(command);
  await application.printed(/^started$/m, LIMIT_MS);
  const took = performance.now() - begin;
  if (application.child.exitCode === null) {
    await new Promise((resolve) => application.child.once('exit', resolve));
  }
  return took;
}

function print(what: string, timesMs: readonly number[]): void {
  const [median, worst] = [quantile(timesMs, 0.5), quantile(timesMs, 1)].map((ms) =>
    ms.toFixed(0).padStart(6),
  );
  console.log(`${what.padEnd(40)} median ${median} ms   worst ${worst} ms`);
}
