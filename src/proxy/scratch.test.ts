import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveBackScratch, takeScratch } from './scratch.ts';

function isApart(one: Buffer, other: Buffer): boolean {
  if (one.buffer !== other.buffer) return true;
  return (
    one.byteOffset + one.length <= other.byteOffset ||
    other.byteOffset + other.length <= one.byteOffset
  );
}

test('what is taken and not given back shares no byte, whatever its size', () => {
  for (const sizes of [
    [1200, 1200, 1200],
    [10, 3000, 10],
    [60_000, 9_000, 5_000],
    [100_000, 5],
  ]) {
    const taken = sizes.map(takeScratch);
    assert.deepEqual(
      taken.map(({ length }) => length),
      sizes,
    );
    for (const [index, one] of taken.entries()) {
      for (const other of taken.slice(index + 1)) assert.ok(isApart(one, other), `${sizes}`);
    }
    for (const _ of taken) giveBackScratch();
  }
});

test('answers of one kind get the same views again', () => {
  const first = [takeScratch(1200), takeScratch(1200)];
  giveBackScratch();
  // One is still out: nothing of it may be given to somebody else.
  const more = takeScratch(1200);
  assert.ok(first.every((view) => isApart(view, more)));
  giveBackScratch();
  giveBackScratch();
  const again = [takeScratch(1200), takeScratch(1200)];
  assert.ok(again.every((view, index) => view === first[index]));
  giveBackScratch();
  giveBackScratch();
});
