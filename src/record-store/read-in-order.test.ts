import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from './fixtures.ts';
import { readInOrder } from './read-in-order.ts';
import type { PageQuery, RecordPage } from './record-store.ts';

/** A store of records 1 to `count` whose pages end early, with `most` records, which may be none. */
function impatientStore(count: number, most: number) {
  return async (_query: unknown, { cursor = 0, limit }: PageQuery): Promise<RecordPage> => {
    const step = Math.max(1, most);
    const last = Math.min(count, cursor + Math.min(step, limit));
    const ids = most === 0 ? [] : Array.from({ length: last - cursor }, (_, i) => cursor + 1 + i);
    const records = ids.map((id) => ({ ...recordOf(id), node: 'n', 'record.id': String(id) }));
    return { records, next: last < count ? last : undefined };
  };
}

test('a page that ends early is no end', async () => {
  for (const most of [1, 3, 1_000]) {
    const list = impatientStore(10, most);
    const all = await readInOrder(list, 0, 100);
    assert.deepEqual(
      all.map(({ seq }) => seq),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    const some = await readInOrder(list, 4, 3);
    assert.deepEqual(
      some.map(({ seq }) => seq),
      [5, 6, 7],
    );
  }
  assert.deepEqual(await readInOrder(impatientStore(10, 0), 0, 5), [], 'nothing found, and an end');
});
