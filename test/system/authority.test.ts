// An authority that cannot issue unnoticed: its log verifies from outside, and one that was rolled back does not.
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { reopenMesh, startTestMesh } from './mesh.ts';

test('the issuance log verifies, and after a rollback of the CA it does not', async () => {
  const first = await startTestMesh();
  const { dataDir } = first;
  const backup = join(dataDir, 'ca-of-before');
  try {
    const whole = await first.cli('audit', 'verify', '-o', 'json');
    assert.equal(whole.status, 0, whole.stderr);
    assert.ok(JSON.parse(whole.stdout).issuance.entries >= 3);
    await first.up.stop();
    cpSync(join(dataDir, 'ca'), backup, { recursive: true });

    const second = await reopenMesh(dataDir);
    await second.run('web', ['sleep', '600']);
    const more = await second.cli('audit', 'verify', '-o', 'json');
    assert.equal(more.status, 0, more.stderr);
    assert.ok(JSON.parse(more.stdout).issuance.from > 0, 'it goes on from the last time');
    assert.equal((await second.cli('audit', 'verify', '--full')).status, 0);
    await second.stop();

    rmSync(join(dataDir, 'ca'), { recursive: true });
    cpSync(backup, join(dataDir, 'ca'), { recursive: true });
    const third = await reopenMesh(dataDir);
    const rolledBack = await third.cli('audit', 'verify');
    assert.equal(rolledBack.status, 1, rolledBack.stdout);
    assert.match(rolledBack.stderr, /rolled back|does not continue/);
    await third.stop();
  } finally {
    await first.close();
  }
});
