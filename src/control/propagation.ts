import type { PointStatus } from './enforcement.ts';

/** One version that reached, or should have reached, one enforcement point; ms from wanted to enforced. */
export type Propagation = {
  readonly namespace: string | null;
  readonly service: string | null;
  readonly tookMs: number;
};

/** Watches each new version on its way to each enforcement point. */
export type PropagationWatch = {
  /** What has arrived since the last look, and what is late; each once. */
  readonly look: (points: readonly PointStatus[], nowMs: number) => readonly Propagation[];
};

type Journey = { readonly hash: string | undefined; readonly since: number; done: boolean };

/** A version that is not there after this is late, whenever it comes. */
const LATE_MS = 60_000;

/** Creates a watch that has seen nothing; what is already enforced when it first looks has no journey. */
export function createPropagationWatch(): PropagationWatch {
  let journeys = new Map<string, Journey>();
  return {
    look(points, nowMs) {
      const found: Propagation[] = [];
      const next = new Map<string, Journey>();
      for (const point of points.filter(({ connected }) => connected)) {
        for (const set of point.sets) {
          const key = `${point.node} ${set.namespace}`;
          const journey = journeyOf(journeys.get(key), set, { point, nowMs });
          next.set(key, journey);
          const tookMs = Math.max(0, nowMs - journey.since);
          if (journey.done || (!set.current && tookMs < LATE_MS)) continue;
          journey.done = true;
          found.push({ namespace: point.namespace, service: point.service, tookMs });
        }
      }
      journeys = next;
      return found;
    },
  };
}

function journeyOf(
  known: Journey | undefined,
  set: PointStatus['sets'][number],
  { point, nowMs }: { readonly point: PointStatus; readonly nowMs: number },
): Journey {
  const hash = set.wanted?.hash;
  if (known?.hash === hash && known !== undefined) return known;
  // A point that was away could not have had it sooner than it came.
  const since = Math.max(
    Date.parse(set.wantedSince ?? '') || nowMs,
    Date.parse(point.connectedAt ?? '') || 0,
  );
  return { hash, since, done: known === undefined && set.current };
}
