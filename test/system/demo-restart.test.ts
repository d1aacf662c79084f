// What the README promises of the demo: killed, its shop goes on; started again, it is the same shop; ended, all is gone.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { finish, palisade, type Running, start } from './mesh.ts';
import { until } from './until.ts';

type ShopProcess = { readonly service: string; readonly pid: number };

test('a demo that is killed leaves its shop running, the next one goes on with it and ends it', {
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-demo-restart-'));
  const dataDir = join(folder, 'mesh');
  const started: Running[] = [];
  try {
    const first = await startDemo(dataDir, started);
    await allServe(dataDir, first);
    const shop = shopOf(dataDir);
    const policy = ['AuthorizationPolicy', 'payments', '--yes', '--data', dataDir];
    const deleted = await finish(palisade('delete', ...policy));
    assert.equal(deleted.status, 0, deleted.stderr);
    await first.stop('SIGKILL');
    for (const { pid, service } of shop) assert.ok(isRunning(pid), `${service} goes on`);
    const second = await startDemo(dataDir, started);
    assert.deepEqual(shopOf(dataDir), shop);
    await allServe(dataDir, second);
    const got = await finish(palisade('get', ...policy));
    assert.equal(
      got.status,
      1,
      'what its user changed stays: nothing was lost, and nothing came back',
    );
    await second.stop('SIGINT');
    assert.equal(second.child.exitCode, 0, second.output());
    for (const { pid, service } of shop) assert.ok(!isRunning(pid), `${service} is gone`);
    assert.equal(existsSync(dataDir), false);
  } finally {
    const left = existsSync(dataDir) ? shopOf(dataDir) : [];
    for (const { pid } of left) if (isRunning(pid)) process.kill(pid);
    for (const each of started) await each.stop();
    rmSync(folder, { recursive: true });
  }
});

async function startDemo(dataDir: string, started: Running[]): Promise<Running> {
  const up = start(palisade('up', '--demo', '--data', dataDir, '--port', '0'));
  started.push(up);
  await up.printed(/^ready /m, 30_000);
  return up;
}

// A service that is not registered yet when the mesh dies has nothing to go on with.
async function allServe(dataDir: string, up: Running): Promise<void> {
  const names = shopOf(dataDir).map(({ service }) => service);
  let last = '';
  const look = async (): Promise<boolean> => {
    const status = await finish(palisade('status', '--wait', '-o', 'json', '--data', dataDir));
    last = `${status.stdout}${status.stderr}`;
    const { enforcementPoints } = JSON.parse(status.stdout) as {
      enforcementPoints: readonly { service: string | null; connected: boolean; ready: boolean }[];
    };
    const serving = enforcementPoints.filter(({ connected, ready }) => connected && ready);
    return names.every((name) => serving.some(({ service }) => service === name));
  };
  const told = (): string => `${last}\n${up.output()}`;
  await until('all services of the shop serve', look, { told });
}

function shopOf(dataDir: string): readonly ShopProcess[] {
  return JSON.parse(readFileSync(join(dataDir, 'shop.json'), 'utf8'));
}

function isRunning(pid: number): boolean {
  try {
    // The state follows the name in parentheses; a zombie only waits for somebody to ask how it ended.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // No such process.
    return false;
  }
}
