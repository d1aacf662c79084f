// What `npm ci` loads ahead: a process that finds one of its files neither stripped of types nor compiled brings the type
// stripper along, 15 MB and half a second of it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BIN, meshIn, start } from './mesh.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const env = { ...process.env, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };

function coldFiles(output: string): readonly string[] {
  const cold = output.matchAll(/no transpile cache for \S+ file:\/\/(\S+)/g);
  return [...cold].flatMap(([, path]) => path ?? []);
}

test('after the warm-up no process loads a file that is cold', async () => {
  // As on a machine where nothing ran yet.
  rmSync(join(root, 'node_modules', '.cache', 'palisade'), { recursive: true, force: true });
  const warm = spawnSync('npm', ['run', '--silent', 'warm'], { cwd: root, encoding: 'utf8' });
  assert.equal(warm.status, 0, warm.stderr);
  const dataDir = mkdtempSync(join(tmpdir(), 'palisade-warm-'));
  const up = start([process.execPath, BIN, 'up', '--data', dataDir, '--port', '0'], env);
  try {
    await up.printed(/^ready (http\S+)/m, 30_000);
    const palisade = [process.execPath, BIN, 'run', '--data', dataDir, '--service', 'web', '--'];
    const run = start([...palisade, 'sh', '-c', 'echo the application runs'], env);
    await run.printed(/^the application runs$/m, 30_000);
    await run.stop();
    const status = await meshIn(dataDir, up).cli('status');
    assert.equal(status.status, 0, status.stderr);
    // Of the launcher, the sidecar and the application in one.
    assert.match(run.output(), /retrieving transpile cache .*src\/proxy\/inbound\.ts/);
    assert.deepEqual([...coldFiles(up.output()), ...coldFiles(run.output())], []);
  } finally {
    await up.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
