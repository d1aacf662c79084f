import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SIDECAR_ENV, SIDECAR_FLAGS } from './sidecar.ts';

const LEAN = new URL('../../bin/lean.js', import.meta.url);

test('the launcher knows the flags and the environment of a sidecar', async () => {
  const { LEAN_ENV, LEAN_FLAGS } = await import(LEAN.href);
  assert.deepEqual(LEAN_FLAGS, SIDECAR_FLAGS);
  assert.deepEqual(LEAN_ENV, SIDECAR_ENV);
});

test('an agent that was started by hand runs with them, as the same process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-lean-'));
  const main = join(folder, 'main.mjs');
  writeFileSync(
    main,
    `import { becomeLean } from ${JSON.stringify(LEAN.href)};
     console.log(process.pid);
     becomeLean();
     console.log(JSON.stringify({ flags: process.execArgv, args: process.argv.slice(2),
       arenas: process.env.MALLOC_ARENA_MAX, threshold: process.env.MALLOC_TRIM_THRESHOLD_ }));`,
  );
  const env = { ...process.env, NODE_OPTIONS: '', MALLOC_TRIM_THRESHOLD_: '7' };
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [main, ...args], { env, encoding: 'utf8' })
      .trim()
      .split('\n');
  const [before, after, told = '{}'] = run('agent', '--data', 'a b');
  assert.equal(before, after, 'who supervises it still knows it');
  const lean = { flags: [...SIDECAR_FLAGS], args: ['agent', '--data', 'a b'], arenas: '1' };
  assert.deepEqual(JSON.parse(told), { ...lean, threshold: '7' }, 'what the operator set stays');
  // A command of a moment is not started twice.
  assert.equal(run('status').length, 2);
  rmSync(folder, { recursive: true });
});
