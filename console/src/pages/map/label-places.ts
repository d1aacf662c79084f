/** Where the labels of edges go so that none lies on another. Pure. */

/** A cubic Bézier curve: start, two control points, end. */
export type Curve = readonly [Point, Point, Point, Point];

/** Pixels. */
export type Point = { readonly x: number; readonly y: number };

/** A label's size in pixels; it is centred on its place. */
export type LabelSize = { readonly width: number; readonly height: number };

/** Places along the curve, the best first: near the start, edges of one caller still lie apart. */
const TRIES = [0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.8] as const;

/** A place on each curve, in the order given: the first that is free, or else the least crowded. */
export function placeLabels(
  labels: readonly { readonly curve: Curve; readonly size: LabelSize }[],
  obstacles: readonly (Point & LabelSize)[],
): readonly Point[] {
  const taken: (Point & LabelSize)[] = [...obstacles];
  return labels.map(({ curve, size }) => {
    const crowd = (place: Point): number =>
      taken.filter((box) => overlaps({ ...place, ...size }, box)).length;
    const places = TRIES.map((share) => pointAt(curve, share));
    // The sort is stable, so that of equals the better try comes first.
    const place = places.toSorted((a, b) => crowd(a) - crowd(b))[0] ?? curve[0];
    taken.push({ ...place, ...size });
    return place;
  });
}

/** The point of a curve at a share of its parameter, 0 to 1. */
export function pointAt(curve: Curve, share: number): Point {
  const rest = 1 - share;
  const weights = [rest ** 3, 3 * rest ** 2 * share, 3 * rest * share ** 2, share ** 3];
  const sum = (axis: 'x' | 'y'): number =>
    curve.reduce((total, point, index) => total + point[axis] * (weights[index] ?? 0), 0);
  return { x: Math.round(sum('x') * 10) / 10, y: Math.round(sum('y') * 10) / 10 };
}

function overlaps(a: Point & LabelSize, b: Point & LabelSize): boolean {
  return (
    Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < (a.height + b.height) / 2
  );
}
