import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));
const TOTAL = 2_000;
const KILLS = 4;

type Delivery = { readonly id: string; readonly ids: readonly string[] };

test('killed at any moment: nothing is lost, order holds, and what comes again has the ids it had', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-sinks-'));
  const deliveries: Delivery[] = [];
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { id, items } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      deliveries.push({ id, ids: items.map((item: { id: string }) => item.id) });
      // Slow enough that most kills find a delivery that was taken and not yet noted.
      setTimeout(() => response.writeHead(204).end(), 5);
    });
  });
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  const { port } = receiver.address() as AddressInfo;
  const startedAt = Date.now() + 500;
  const known = new Set<string>();
  const start = () =>
    spawn(process.execPath, [CHILD, folder, String(port), String(startedAt), String(TOTAL)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  try {
    for (let kill = 1; kill <= KILLS; kill++) {
      const child = start();
      await until(() => count(deliveries) >= (TOTAL * kill) / (KILLS + 1));
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const last = start();
    await until(() => count(deliveries) >= TOTAL);
    last.kill('SIGKILL');
    await once(last, 'exit');
  } finally {
    receiver.closeAllConnections();
    receiver.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const fresh: string[] = [];
  for (const { ids } of deliveries) {
    for (const id of ids.filter((one) => !known.has(one))) {
      known.add(id);
      fresh.push(id);
    }
  }
  // A receiver that keeps ids has each once, in the order in which they were made.
  assert.deepEqual(
    fresh,
    Array.from({ length: TOTAL }, (_, i) => `r-${i + 1}`),
  );
  const again = deliveries.reduce((sum, { ids }) => sum + ids.length, 0) - TOTAL;
  assert.ok(again <= KILLS * 50, `${again} came again: at most the batch under way at each kill`);
});

function count(deliveries: readonly Delivery[]): number {
  return new Set(deliveries.flatMap(({ ids }) => ids)).size;
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1_500; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('not within 30 s');
}
