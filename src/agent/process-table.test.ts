import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createProcessTable, parseStat } from './process-table.ts';

const REST = 'S 42 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200';

function check(name: string, text: string, expected: ReturnType<typeof parseStat>): void {
  test(name, () => assert.deepEqual(parseStat(text), expected));
}

const good = { pid: 7, parentPid: 42, startTime: 98_765 };
check('an ordinary name', `7 (node) ${REST}`, good);
check('a name with spaces and parentheses', `7 (a b) (c)) ${REST}`, good);
check('attack: a name that imitates other fields', `7 (x) S 1 1 ) ${REST}`, good);
check('an empty name', `7 () ${REST}`, good);
check(
  'cut off before the start time',
  `7 (node) ${REST.split(' ').slice(0, 19).join(' ')}`,
  undefined,
);
check('no parentheses', '7 node S 42', undefined);
check('nothing', '', undefined);
check('a pid that is none', `x (node) ${REST}`, undefined);

test('the real /proc tells of this process and of its children', async () => {
  const processes = createProcessTable();
  const self = processes.read(process.pid);
  assert.equal(self?.pid, process.pid);
  assert.equal(self?.parentPid, process.ppid);
  assert.equal(processes.executable(process.pid), process.execPath);
  const bytes = readFileSync(process.execPath);
  assert.equal(await processes.executableDigest(process.pid), hash('sha256', bytes));
  assert.equal(await processes.executableDigest(process.pid), hash('sha256', bytes), 'as kept');
  // getgroups(2) may or may not name the effective group too.
  const own = process.getgid?.();
  assert.deepEqual(
    new Set([own, ...processes.supplementaryGroups(process.pid)]),
    new Set([own, ...(process.getgroups?.() ?? [])]),
  );
  assert.ok(processes.cgroups(process.pid).every((path) => path.startsWith('/')));
  assert.match(processes.bootId(), /^[0-9a-f-]{36}$/);
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()']);
  const read = processes.read(child.pid ?? 0);
  assert.equal(read?.parentPid, process.pid);
  assert.ok((read?.startTime ?? 0) >= (self?.startTime ?? Number.POSITIVE_INFINITY));
  child.kill();
  await once(child, 'exit');
  assert.equal(processes.read(child.pid ?? 0), undefined);
});
