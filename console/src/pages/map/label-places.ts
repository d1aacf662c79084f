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
    const place = leastCrowded(curve, size, taken);
    taken.push({ ...place, ...size });
    return place;
  });
}

/** The first free place, or of the least crowded ones the first: each is looked at once. */
function leastCrowded(curve: Curve, size: LabelSize, taken: readonly (Point & LabelSize)[]): Point {
  let best = curve[0];
  let least = Number.POSITIVE_INFINITY;
  for (const share of TRIES) {
    const place = pointAt(curve, share);
    const box = { ...place, ...size };
    let crowd = 0;
    for (const other of taken) if (overlaps(box, other)) crowd += 1;
    if (crowd === 0) return place;
    if (crowd < least) [best, least] = [place, crowd];
  }
  return best;
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
