import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFakeProcesses } from './fake-processes.ts';
import { createIntroductions } from './introductions.ts';
import { openStateFolder } from './state-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-introductions-'));
after(() => rmSync(root, { recursive: true }));
const ORDERS = { namespace: 'shop', service: 'orders' };
const PAYMENTS = { namespace: 'shop', service: 'payments' };
let folders = 0;

/** `run` is 100, the application 200, its child 300; 500 is a stranger. */
function start(folder = openStateFolder(join(root, `${++folders}`))) {
  const processes = createFakeProcesses();
  processes.start(100, 1, 1000);
  processes.start(200, 100, 1010);
  processes.start(300, 200, 1020);
  processes.start(500, 1, 900);
  return { folder, processes, introductions: createIntroductions(folder, processes) };
}

test('an introduced process and all it starts are the service, nobody else is', () => {
  const { introductions } = start();
  assert.equal(introductions.introduce(100, ORDERS).ok, true);
  for (const pid of [100, 200, 300]) assert.deepEqual(serviceOf(introductions, pid), ORDERS);
  assert.equal(introductions.serviceOf(500), undefined);
  assert.equal(introductions.serviceOf(999), undefined);
});

test('attack: an application introduces itself or its child as another service', () => {
  const { introductions } = start();
  introductions.introduce(100, ORDERS);
  for (const pid of [100, 200, 300]) {
    assert.equal(introductions.introduce(pid, PAYMENTS).ok, false, `pid ${pid}`);
  }
  assert.deepEqual(serviceOf(introductions, 300), ORDERS);
  assert.equal(introductions.introduce(200, ORDERS).ok, false, 'not even as the same one');
  assert.equal(introductions.introduce(100, ORDERS).ok, true, 'saying it twice is no crime');
});

test('attack: a new process got the pid of an introduced one', () => {
  const { introductions, processes } = start();
  introductions.introduce(100, ORDERS);
  processes.end(100);
  processes.start(100, 1, 5000);
  assert.equal(introductions.serviceOf(100), undefined);
  assert.equal(introductions.introduce(100, PAYMENTS).ok, true);
});

test('attack: a new process got the pid of a dead parent', () => {
  const { introductions, processes } = start();
  processes.start(400, 350, 1030);
  processes.start(350, 1, 2000);
  introductions.introduce(350, ORDERS);
  assert.equal(introductions.serviceOf(400), undefined, 'a parent is older than its child');
});

test('a chain that never ends is given up', () => {
  const { introductions, processes } = start();
  processes.start(600, 601, 1);
  processes.start(601, 600, 1);
  assert.equal(introductions.serviceOf(600), undefined);
});

test('names that are no DNS labels are refused', () => {
  const { introductions } = start();
  for (const service of ['', '../x', 'A', 'a/b', 'a b', '-a', 'a'.repeat(64)]) {
    assert.equal(introductions.introduce(500, { namespace: 'shop', service }).ok, false, service);
    const swapped = { namespace: service, service: 'orders' };
    assert.equal(introductions.introduce(500, swapped).ok, false, service);
  }
  assert.equal(introductions.introduce(999, ORDERS).ok, false, 'a process that does not exist');
});

test('introductions outlive the agent, but neither their process nor a boot', async () => {
  const { folder, introductions } = start();
  introductions.introduce(100, ORDERS);
  await introductions.saved();
  assert.deepEqual(serviceOf(start(folder).introductions, 300), ORDERS);
  const rebooted = createFakeProcesses();
  rebooted.bootedAs = 'boot-2';
  rebooted.start(100, 1, 1000);
  assert.equal(createIntroductions(folder, rebooted).serviceOf(100), undefined);
  const reused = createFakeProcesses();
  reused.start(100, 1, 7777);
  assert.equal(createIntroductions(folder, reused).serviceOf(100), undefined);
});

test('a damaged file is as good as none', async () => {
  const damaged = [
    null,
    [],
    'x',
    { bootId: 'boot-1' },
    { bootId: 'boot-1', processes: [{ pid: 1 }] },
  ];
  for (const content of damaged) {
    const folder = openStateFolder(join(root, `${++folders}`));
    await folder.writeJson('introductions.json', content);
    assert.equal(start(folder).introductions.serviceOf(1), undefined);
  }
});

function serviceOf(introductions: ReturnType<typeof createIntroductions>, pid: number) {
  const { namespace, service } = introductions.serviceOf(pid) ?? {};
  return { namespace, service };
}
