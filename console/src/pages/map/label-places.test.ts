import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Curve, placeLabels, pointAt } from './label-places.ts';

const line = (fromY: number, toY: number): Curve => [
  { x: 0, y: fromY },
  { x: 100, y: fromY },
  { x: 100, y: toY },
  { x: 200, y: toY },
];
const size = { width: 60, height: 14 };

test('a label alone lies in the middle of its edge', () => {
  assert.deepEqual(placeLabels([{ curve: line(0, 0), size }], []), [{ x: 100, y: 0 }]);
});

test('the labels of two edges that cross lie apart', () => {
  const [first, second] = placeLabels(
    [
      { curve: line(0, 100), size },
      { curve: line(100, 0), size },
    ],
    [],
  );
  assert.deepEqual(first, { x: 100, y: 50 });
  const apart =
    Math.abs((second?.x ?? 0) - 100) >= size.width ||
    Math.abs((second?.y ?? 0) - 50) >= size.height;
  assert.ok(apart, JSON.stringify(second));
});

test('a label keeps off what is in its way', () => {
  const [place] = placeLabels([{ curve: line(0, 100), size }], [{ x: 100, y: 50, ...size }]);
  assert.notDeepEqual(place, { x: 100, y: 50 });
});

test('where nothing is free the label stays in the middle', () => {
  const wall = { x: 100, y: 0, width: 1000, height: 1000 };
  assert.deepEqual(placeLabels([{ curve: line(0, 0), size }], [wall]), [{ x: 100, y: 0 }]);
});

test('a curve begins and ends where it says', () => {
  assert.deepEqual(pointAt(line(3, 40), 0), { x: 0, y: 3 });
  assert.deepEqual(pointAt(line(3, 40), 1), { x: 200, y: 40 });
});
