import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { recordStoreContract } from './contract.ts';
import { batch, NOW } from './fixtures.ts';
import type { RecordStore } from './record-store.ts';
import { openThreadedStore } from './threaded-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-records-'));
after(() => rmSync(folder, { recursive: true }));
let stores = 0;

const BOUNDS = { maxBytes: 1024 ** 3, maxAgeMs: 7 * 24 * 3_600_000 };

recordStoreContract('in a thread', () =>
  openThreadedStore({ folder: join(folder, `${++stores}`), bounds: BOUNDS, onLost: () => {} }),
);

const DAY_MS = 86_400_000;

async function seqs(store: RecordStore): Promise<readonly number[]> {
  return (await store.readAfter(0, 1_000)).map(({ seq }) => seq);
}

test('whoever reads sees each batch once it is acknowledged, files that come, and those that went', async () => {
  const own = join(folder, 'days');
  const store = await openThreadedStore({ folder: own, bounds: BOUNDS, onLost: assert.fail });
  for (let day = 0; day < 9; day++) {
    await store.add([batch(day * 10 + 1, day * 10 + 10)], NOW + day * DAY_MS);
    const found = await seqs(store);
    assert.deepEqual([found.length, found.at(-1)], [day * 10 + 10, day * 10 + 10]);
  }
  await store.prune(NOW + 8 * DAY_MS);
  const kept = await seqs(store);
  assert.ok(kept.length < 90 && kept.at(-1) === 90, String(kept));
  await store.close();
  // Whoever closed last left nothing beside the files.
  assert.deepEqual(
    readdirSync(own).filter((name) => !name.endsWith('.db')),
    [],
  );
});

test('attack: damage that a reader comes upon is named, and the rest is read on', async () => {
  const own = join(folder, 'damaged');
  const store = await openThreadedStore({ folder: own, bounds: BOUNDS, onLost: assert.fail });
  await store.add([batch(1, 10)], NOW);
  await store.add([batch(11, 20)], NOW + DAY_MS);
  assert.equal((await seqs(store)).length, 20);
  const [first = ''] = readdirSync(own).toSorted();
  const other = new DatabaseSync(join(own, first));
  other.exec('UPDATE parts SET data = zeroblob(40)');
  other.close();
  assert.deepEqual(await seqs(store), [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  assert.deepEqual(
    (await store.state()).damaged.map(({ name }) => name),
    [first],
  );
  await store.close();
});
