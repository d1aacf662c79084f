import type { Curve, Point } from './label-places.ts';

/** The path of an edge, and the stretch of it that carries the label. */
export type Routed = { readonly path: string; readonly labelled: Curve };

/** What a route must know of sizes, in pixels. */
export type RouteOptions = {
  readonly nodeHeight: number;
  readonly rowGap: number;
  readonly minColumnGap: number;
};

/** The points an edge passes, and whether it leads on, back, or to a neighbour in its own layer. */
export type Way = {
  readonly points: readonly Point[];
  readonly kind: 'forward' | 'back' | 'beside';
};

/**
 * A smooth path through the points; a call back to an earlier layer goes round below, one within a
 * layer round its right side.
 */
export function route(way: Way, options: RouteOptions): Routed {
  const stretches = routedStretches(way, options);
  const [first] = stretches;
  if (first === undefined) throw new Error('an edge has at least its two ends');
  const start = `M${round(first[0].x)} ${round(first[0].y)}`;
  const path = stretches.map(
    ([, a, b, end]) =>
      `C${round(a.x)} ${round(a.y)} ${round(b.x)} ${round(b.y)} ${round(end.x)} ${round(end.y)}`,
  );
  return { path: [start, ...path].join(' '), labelled: first };
}

function routedStretches({ points, kind }: Way, options: RouteOptions): readonly Curve[] {
  if (kind === 'back') return [stretchBack(points, options)];
  return kind === 'beside' ? [stretchBeside(points)] : stretchesOf(points);
}

function stretchBeside(points: readonly Point[]): Curve {
  const start = points[0] ?? { x: 0, y: 0 };
  const end = points.at(-1) ?? start;
  const reach = 24 + Math.abs(end.y - start.y) * 0.12;
  return [start, { x: start.x + reach, y: start.y }, { x: end.x + reach, y: end.y }, end];
}

/** Each stretch leaves and arrives level, so that they join without a kink. */
function stretchesOf(points: readonly Point[]): readonly Curve[] {
  return points.slice(1).map((end, index) => {
    const start = points[index] ?? end;
    const x = (start.x + end.x) / 2;
    return [start, { x, y: start.y }, { x, y: end.y }, end];
  });
}

function stretchBack(points: readonly Point[], options: RouteOptions): Curve {
  const start = points[0] ?? { x: 0, y: 0 };
  const end = points.at(-1) ?? start;
  const low = Math.max(start.y, end.y) + options.nodeHeight * 0.9 + options.rowGap / 2;
  const reach = options.minColumnGap / 2;
  return [start, { x: start.x + reach, y: low }, { x: end.x - reach, y: low }, end];
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
