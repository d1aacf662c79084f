import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { acquireLock } from './process-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-lock-'));
after(() => rmSync(folder, { recursive: true }));

test('a second taker is told who has it; after release it is free', () => {
  const path = join(folder, 'a');
  const first = acquireLock(path, 'up');
  assert.ok(first.ok);
  assert.deepEqual(acquireLock(path, 'control'), {
    ok: false,
    error: { pid: process.pid, command: 'up', startTicks: second(path) },
  });
  first.value.release();
  assert.ok(acquireLock(path, 'control').ok);
});

test('the lock of a process killed without warning is free', async () => {
  const path = join(folder, 'b');
  const module = new URL('./process-lock.ts', import.meta.url).href;
  const source = `import { acquireLock } from '${module}'; acquireLock('${path}', 'up'); console.log('locked'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  assert.equal(acquireLock(path, 'up').ok, false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.ok(acquireLock(path, 'up').ok);
});

function second(path: string): string {
  const again = acquireLock(path, 'x');
  assert.equal(again.ok, false);
  return (again as { error: { startTicks?: string } }).error.startTicks ?? '';
}
