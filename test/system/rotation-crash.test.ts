// A rotation of the root, and the whole mesh killed in the middle of it, twice, or PALISADE_CRASH_ROUNDS times.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { authorityStatus } from './authority-status.ts';
import { startTestMesh, startUp } from './mesh.ts';

test('everything killed at random moments of a rotation: it goes on where it was, and the log is whole', async () => {
  const first = await startTestMesh();
  const { dataDir } = first;
  let up = first.up;
  try {
    const before = await authorityStatus(first);
    for (let round = 0; round < ROUNDS; round++) {
      const afterMs = 300 + 900 * (round % 2) + 900 * Math.random();
      const rotating = first.cli('ca', 'rotate', '--timeout', '3s');
      await delay(afterMs);
      await up.stop('SIGKILL');
      await rotating;
      up = await startUp(dataDir);
    }
    const goneOn = await first.cli('ca', 'rotate', '--timeout', '20s');
    assert.equal(goneOn.status, 0, goneOn.stderr);
    const after = await authorityStatus(first);
    assert.equal(after.phase, 'idle');
    assert.notEqual(after.roots[0]?.sha256, before.roots[0]?.sha256);
    const audited = await first.cli('audit', 'verify', '--full');
    assert.equal(audited.status, 0, audited.stderr);
  } finally {
    await up.stop();
    await first.close();
  }
});

const ROUNDS = Number(process.env['PALISADE_CRASH_ROUNDS'] ?? 2);
