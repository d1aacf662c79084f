/** Calls of one caller at one service within one report. */
export type EdgeDenials = {
  readonly source: string;
  /** `namespace/service` */
  readonly destination: string;
  readonly denied: number;
};

/** An edge with many denials. */
export type WatchedBurst = {
  readonly source: string;
  readonly destination: string;
  readonly denied: number;
  /** In five minutes of the hour before, on average. */
  readonly usual: number;
};

/** Counts denials by edge for an hour and says where they burst. */
export type DenialWatch = {
  readonly count: (denials: EdgeDenials, nowMs: number) => void;
  /** Worst first. */
  readonly bursts: (nowMs: number) => readonly WatchedBurst[];
};

type Edge = {
  readonly source: string;
  readonly destination: string;
  /** Denials by minute, a ring. */
  readonly minutes: Float64Array;
  newest: number;
  bursting: boolean;
};

const MINUTE_MS = 60_000;
const MINUTES = 60;
const RECENT_MINUTES = 5;
/** So many in five minutes begin a burst, where that is also this many times the usual. */
export const BURST_AT = 20;
const TIMES_USUAL = 5;
// A burst goes on until it is over, however usual it has become.
const CALM_BELOW = 5;
// SECURITY: callers can be invented; denials of further edges are still in the objective of the whole mesh.
const MAX_EDGES = 5_000;

/** Creates a watch that has seen nothing. */
export function createDenialWatch(): DenialWatch {
  const edges = new Map<string, Edge>();

  function edgeOf(source: string, destination: string, minute: number): Edge | undefined {
    const id = `${source}>${destination}`;
    const known = edges.get(id);
    if (known !== undefined) return known;
    if (edges.size >= MAX_EDGES) forget(edges, minute);
    if (edges.size >= MAX_EDGES) return undefined;
    const minutes = new Float64Array(MINUTES);
    const edge: Edge = { source, destination, minutes, newest: minute, bursting: false };
    edges.set(id, edge);
    return edge;
  }

  return {
    count({ source, destination, denied }, nowMs) {
      if (!(denied > 0)) return;
      const minute = Math.floor(nowMs / MINUTE_MS);
      const edge = edgeOf(source, destination, minute);
      if (edge === undefined) return;
      advance(edge, minute);
      const index = edge.newest % MINUTES;
      edge.minutes[index] = (edge.minutes[index] ?? 0) + denied;
    },
    bursts(nowMs) {
      const minute = Math.floor(nowMs / MINUTE_MS);
      return Array.from(edges.values())
        .flatMap((edge) => burstOf(edge, minute) ?? [])
        .sort((a, b) => b.denied - a.denied);
    },
  };
}

function burstOf(edge: Edge, minute: number): WatchedBurst | undefined {
  advance(edge, minute);
  let denied = 0;
  let before = 0;
  for (let ago = 0; ago < MINUTES; ago++) {
    const count = edge.minutes[(((edge.newest - ago) % MINUTES) + MINUTES) % MINUTES] ?? 0;
    if (ago < RECENT_MINUTES) denied += count;
    else before += count;
  }
  const usual = (before * RECENT_MINUTES) / (MINUTES - RECENT_MINUTES);
  edge.bursting = edge.bursting
    ? denied >= CALM_BELOW
    : denied >= BURST_AT && denied >= usual * TIMES_USUAL;
  const { source, destination } = edge;
  return edge.bursting ? { source, destination, denied, usual } : undefined;
}

function advance(edge: Edge, minute: number): void {
  const from = Math.max(edge.newest + 1, minute - MINUTES + 1);
  for (let next = from; next <= minute; next++) edge.minutes[next % MINUTES] = 0;
  // A clock that steps back counts into the newest minute.
  edge.newest = Math.max(edge.newest, minute);
}

function forget(edges: Map<string, Edge>, minute: number): void {
  for (const [id, { newest }] of Array.from(edges)) {
    if (newest < minute - MINUTES) edges.delete(id);
  }
}
