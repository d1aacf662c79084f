// A rotation of the root, and the whole mesh killed in the middle of it, twice, or PALISADE_CRASH_ROUNDS times.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BIN, start, startTestMesh, type TestMesh } from './mesh.ts';

test('everything killed at random moments of a rotation: it goes on where it was, and the log is whole', async () => {
  const first = await startTestMesh();
  const { dataDir } = first;
  let up = first.up;
  try {
    const before = await statusOf(first);
    for (let round = 0; round < ROUNDS; round++) {
      const afterMs = 300 + 900 * (round % 2) + 900 * Math.random();
      const rotating = first.cli('ca', 'rotate', '--timeout', '3s');
      await delay(afterMs);
      await up.stop('SIGKILL');
      await rotating;
      up = start([process.execPath, BIN, 'up', '--data', dataDir, '--port', '0']);
      await up.printed(/^ready (http\S+)/m, 30_000);
    }
    const goneOn = await first.cli('ca', 'rotate', '--timeout', '20s');
    assert.equal(goneOn.status, 0, goneOn.stderr);
    const after = await statusOf(first);
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

type Status = {
  readonly phase: string;
  readonly trustRootVersion: number;
  readonly roots: readonly { readonly sha256: string; readonly points: number }[];
};

async function statusOf(mesh: TestMesh): Promise<Status> {
  const status = await mesh.cli('ca', 'status', '-o', 'json');
  assert.equal(status.status, 0, status.stdout + status.stderr);
  return JSON.parse(status.stdout) as Status;
}
