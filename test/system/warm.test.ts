// What `npm ci` makes ahead: processes run the bundle, and find it compiled. One that reads the sources instead holds 14 MB
// more; one that finds a source that is not stripped of types brings the type stripper along, another 15 MB and half a second.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { meshIn, palisade, start } from './mesh.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const env = { ...process.env, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };

function runScript(name: string): void {
  const ran = spawnSync('npm', ['run', '--silent', name], { cwd: root, encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
}

/** Our own files that a process loaded, and of those the ones that it had to compile. */
function loaded(output: string): { sources: readonly string[]; cold: readonly string[] } {
  const sources = output.matchAll(/retrieving transpile cache for \S+ file:\/\/(\S+)/g);
  const cold = output.matchAll(/(dist\/bundle\/\S+) was not initialized/g);
  return {
    sources: [...sources].flatMap(([, path]) => path ?? []),
    cold: [...cold].flatMap(([, path]) => path ?? []),
  };
}

test('after the warm-up every process runs the bundle, compiled ahead', async () => {
  runScript('bundle');
  // As on a machine where nothing ran yet.
  rmSync(join(root, 'node_modules', '.cache', 'palisade'), { recursive: true, force: true });
  runScript('warm');
  const dataDir = mkdtempSync(join(tmpdir(), 'palisade-warm-'));
  const up = start(palisade('up', '--data', dataDir, '--port', '0'), env);
  try {
    await up.printed(/^ready (http\S+)/m, 30_000);
    const wanted = ['--data', dataDir, '--service', 'web', '--'];
    const run = start(palisade('run', ...wanted, 'sh', '-c', 'echo the application runs'), env);
    await run.printed(/^the application runs$/m, 30_000);
    await run.stop();
    const status = await meshIn(dataDir, up).cli('status');
    assert.equal(status.status, 0, status.stderr);
    // Of the launcher, the sidecar and the application in one.
    assert.match(run.output(), /dist\/bundle\/\S+ was accepted/);
    const nothing = { sources: [], cold: [] };
    assert.deepEqual([loaded(up.output()), loaded(run.output())], [nothing, nothing]);
  } finally {
    await up.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
