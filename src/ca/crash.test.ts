import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyIssuanceLog } from '#trust';
import { Issuance } from '#wire';
import { openDatabase } from './database.ts';
import { createTestMesh, csrOf, enrol, type TestMesh, TRUST_DOMAIN } from './fixtures.ts';
import { openIssuanceLog } from './issuance-log.ts';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));
// More of them, and at random moments: PALISADE_CRASH_ROUNDS=50.
const ROUNDS = Number(process.env['PALISADE_CRASH_ROUNDS'] ?? 3);

test('killed at any moment, no certificate is outside of the log and the log goes on', async () => {
  const mesh = createTestMesh();
  const received = new Set<string>();
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const issues = 1 + Math.floor(100 * Math.random());
      await issueUntilKilled(mesh, received, { issues, afterMs: 3 * Math.random() });
    }
    const database = openDatabase(join(mesh.folder, 'ca.db'));
    const entries = openIssuanceLog(database).read(0, 1_000_000);
    database.close();
    const verified = verifyIssuanceLog(entries);
    assert.ok(verified.ok, verified.ok ? '' : verified.error.message);
    const logged = new Set(entries.map((entry) => entry.certificateSha256));
    assert.ok(received.size > ROUNDS, `${received.size}`);
    for (const digest of received) assert.ok(logged.has(digest), digest);
  } finally {
    mesh.remove();
  }
});

async function issueUntilKilled(
  mesh: TestMesh,
  received: Set<string>,
  moment: { readonly issues: number; readonly afterMs: number },
): Promise<void> {
  const { issues, afterMs } = moment;
  const child = spawn(process.execPath, [CHILD, mesh.folder, mesh.trustRootFile, TRUST_DOMAIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) });
    const { client } = await enrol(mesh, Number(line), '/palisade/agent/host', mesh.tokens.agent);
    const { csr } = csrOf('/palisade/agent/host');
    let answered = 0;
    const lanes = Array.from({ length: 8 }, async () => {
      for (;;) {
        const svid = await client
          .unary(Issuance.method.issueX509Svid, { csr })
          .catch(() => undefined);
        if (svid === undefined) return;
        received.add(
          createHash('sha256')
            .update(svid.chain[0] ?? '')
            .digest('hex'),
        );
        answered += 1;
        if (answered === issues) setTimeout(() => child.kill('SIGKILL'), afterMs);
      }
    });
    await Promise.all(lanes);
    client.close();
  } finally {
    child.kill('SIGKILL');
  }
}
