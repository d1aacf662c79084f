// Access records on a disk that fills up: what does not fit is refused whole, and nothing is damaged once there is room.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openThreadedStore } from '#record-store';
import { batch, NOW } from '../../src/record-store/fixtures.ts';
import { mountSmallDisk } from './small-disk.ts';

const BOUNDS = { maxBytes: 1024 ** 3, maxAgeMs: 86_400_000 };

test('a full disk refuses records whole, answers go on, and the same records fit once there is room', async (t) => {
  const disk = await mountSmallDisk(8);
  if (typeof disk === 'string') return t.skip(disk);
  const lost: string[] = [];
  const store = await openThreadedStore({
    folder: join(disk.folder, 'records'),
    bounds: BOUNDS,
    onLost: (reason) => lost.push(reason),
  });
  try {
    const first = await store.add([batch(1, 100)], NOW);
    assert.ok(first.ok && first.value.stored === 100);
    disk.fill();
    const more = Array.from({ length: 7 }, (_, i) => batch(101 + i * 700, 800 + i * 700));
    const refused = await store.add(more, NOW);
    assert.ok(!refused.ok, 'it fits');
    assert.match(refused.error, /full|I\/O/);
    assert.equal((await store.list({}, { limit: 1_000 })).records.length, 100);
    disk.free();
    const again = await store.add(more, NOW);
    assert.ok(again.ok && again.value.stored === 4_900, JSON.stringify(again));
    assert.equal((await store.state()).records, 5_000);
    assert.deepEqual([(await store.state()).damaged, lost], [[], []]);
  } finally {
    await store.close();
    await disk.unmount();
  }
});
