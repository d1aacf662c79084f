import type { EdgeCounters } from '../metrics/edge.ts';
import { type KeptReason, type RecordedCall, WIDE_ZERO } from './access-record.ts';
import { classify } from './classify.ts';
import { createRollouts, type Rollouts } from './rollouts.ts';

/** Says which calls are recorded: whatever is remarkable, and of the rest as many as the budget has room for. */
export type Sampler = {
  /** Whether the call is kept; notes why, and for how many it stands, in the call. */
  readonly keeps: (call: RecordedCall, edge: EdgeCounters | undefined, nowMs: number) => boolean;
  /** Records a second that need not be kept; a change counts at once. */
  perSecond: number;
  /** What changes of policy touch, which is kept too. */
  readonly rollouts: Rollouts;
};

/** Routes of one edge, for one kind of method. */
export type EdgeRoutes = {
  readonly reads: Map<string, Route>;
  readonly writes: Map<string, Route>;
  /** What all routes beyond the bound share. */
  readonly others: Route;
  /** The one before: most calls of a connection are to the same. */
  lastMethod: string | null;
  lastPath: string | null;
  last: Route;
};

/** How fast one route of an edge is, and how much of it is kept. */
export type Route = {
  /** An estimate of the 99th percentile of durations. */
  slowUs: number;
  seen: number;
  second: number;
  inSecond: number;
  /** One in so many is kept, on average. */
  every: number;
  readonly plain: Thinned;
  readonly clientErrors: Thinned;
};

/** A run of calls of which the next that is kept stands for all. */
type Thinned = { skipped: number };

/** What a proxy keeps where no TelemetryPolicy says otherwise: more than people at a laptop make. */
export const DEFAULT_RECORDS_PER_SECOND = 500;

const FIRST_CALLS = 10;
// The estimate has to have seen some before it can tell what is slow.
const MIN_SEEN_FOR_SLOW = 100;
// Steps of the estimate. Up and down balance where one in a hundred is above it.
const UP = 1.099;
const DOWN = 0.999;
// Where all calls take the same time, none is slow for being a hair above the rest.
const CLEARLY = 1.1;
// SECURITY: paths are the callers' to make up; what is kept of them stays bounded, for an edge and for all.
const MAX_ROUTES_AN_EDGE = 32;
const MAX_ROUTES = 2048;
const MAX_ROUTE_CHARS = 64;
const MAX_EVERY = 1_000_000;
// A run this many times as long as it should be is over; luck alone makes one in fifty of them.
const MAX_RUN = 4;
const MAX_BY_TRACE = 2;
const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Creates a sampler; `random` as `Math.random`. */
export function createSampler(
  perSecond: number = DEFAULT_RECORDS_PER_SECOND,
  random: () => number = Math.random,
): Sampler {
  return new AdaptiveSampler(perSecond, random);
}

class AdaptiveSampler implements Sampler {
  perSecond: number;
  readonly rollouts = createRollouts();
  readonly #random: () => number;
  /** How many calls a second each route may have kept; follows what that comes to in sum. */
  #share: number;
  #second = 0;
  #kept = 0;
  #isLimiting = false;
  #routes = 0;

  constructor(perSecond: number, random: () => number) {
    this.perSecond = perSecond;
    this.#share = perSecond;
    this.#random = random;
  }

  keeps(call: RecordedCall, edge: EdgeCounters | undefined, nowMs: number): boolean {
    call.weight = 1;
    const route = edge === undefined ? undefined : this.#routeOf(edge, call);
    const isSlow = route !== undefined && noteDuration(route, call.durationUs);
    call.kept = classify(call);
    if (call.kept !== 'all') return true;
    if (route === undefined) return true;
    if (this.rollouts.takes(call, nowMs)) {
      call.kept = 'rollout';
      return true;
    }
    const remarkable = remarkableOf(route, isSlow);
    if (remarkable === undefined) return this.#keepsPlain(route, call, nowMs);
    call.kept = remarkable;
    return true;
  }

  #keepsPlain(route: Route, call: RecordedCall, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#nextSecond(second);
    if (second !== route.second) {
      route.every = Math.min(MAX_EVERY, Math.max(1, Math.ceil(route.inSecond / this.#share)));
      route.second = second;
      route.inSecond = 0;
    }
    route.inSecond++;
    const thinned = call.status >= 400 ? route.clientErrors : route.plain;
    if (route.every > 1 && !this.#isChosen(call, route.every, thinned.skipped)) {
      thinned.skipped++;
      this.#isLimiting = true;
      return false;
    }
    call.weight = thinned.skipped + 1;
    call.kept = route.every === 1 && call.weight === 1 ? 'all' : 'sampled';
    thinned.skipped = 0;
    // A burst is more than the last second told of; routes with few calls are not to pay for it.
    const isBurst = ++this.#kept > this.perSecond && route.inSecond > this.#share;
    if (isBurst) route.every = Math.min(MAX_EVERY, route.every * 2);
    return true;
  }

  /**
   * Whether one in `every` falls on this call. By its trace, so that the sidecars of a call choose alike and what is
   * kept of a trace is whole. SECURITY: a caller may make up its trace ids. It cannot stay unseen for long by them, nor
   * take the budget of all others.
   */
  #isChosen({ traceId }: RecordedCall, every: number, skipped: number): boolean {
    if (skipped >= MAX_RUN * every) return true;
    const isByTrace = traceId !== null && this.#kept <= MAX_BY_TRACE * this.perSecond;
    const drawn = isByTrace ? fractionOf(traceId) : this.#random();
    return drawn * every < 1;
  }

  #nextSecond(second: number): void {
    const { perSecond } = this;
    const ratio = perSecond / Math.max(1, this.#kept);
    // Routes with few calls leave some of their share to the busy ones.
    if (ratio < 1 || this.#isLimiting) this.#share *= Math.min(2, ratio);
    this.#share = Math.min(perSecond, Math.max(perSecond / MAX_ROUTES, this.#share));
    this.#second = second;
    this.#kept = 0;
    this.#isLimiting = false;
  }

  #routeOf(edge: EdgeCounters, call: RecordedCall): Route {
    const known = (edge.routes ??= newRoutes());
    if (known.lastPath !== call.path || known.lastMethod !== call.method) {
      known.last = this.#findRoute(known, call);
      // A long path is not worth its memory.
      known.lastPath = (call.path?.length ?? 0) <= MAX_ROUTE_CHARS ? call.path : '';
      known.lastMethod = call.method;
    }
    return known.last;
  }

  #findRoute({ reads, writes, others }: EdgeRoutes, call: RecordedCall): Route {
    const routes = READS.has(call.method ?? '') ? reads : writes;
    const name = firstSegment(call.path ?? '');
    const known = routes.get(name);
    if (known !== undefined) return known;
    const isFull = routes.size >= MAX_ROUTES_AN_EDGE || this.#routes >= MAX_ROUTES;
    if (isFull || name.length > MAX_ROUTE_CHARS) return others;
    const route = newRoute(0);
    // A part of a string keeps the whole alive, and that may be long.
    routes.set(Buffer.from(name, 'utf8').toString('utf8'), route);
    this.#routes++;
    return route;
  }
}

/** The last 32 bits of a trace id (lower-case hex) as a number from 0 to 1; told without making a string. */
function fractionOf(traceId: string): number {
  let bits = 0;
  for (let at = 24; at < 32; at++) {
    const code = traceId.charCodeAt(at);
    bits = bits * 16 + (code < 0x61 ? code - 0x30 : code - 0x57);
  }
  return bits / 2 ** 32;
}

/** Whether the call is above its route's 99th percentile, which follows it. */
function noteDuration(route: Route, durationUs: number): boolean {
  if (route.seen < MIN_SEEN_FOR_SLOW) {
    route.seen++;
    route.slowUs = Math.max(route.slowUs, durationUs, 1);
    return false;
  }
  const isAbove = durationUs > route.slowUs;
  const isSlow = durationUs > route.slowUs * CLEARLY;
  route.slowUs = Math.max(1, route.slowUs * (isAbove ? UP : DOWN));
  return isSlow;
}

function remarkableOf(route: Route, isSlow: boolean): KeptReason | undefined {
  if (route.seen <= FIRST_CALLS) return 'first_seen';
  return isSlow ? 'slow' : undefined;
}

/** `/orders` of `/orders/17`: as much of a path as tells routes apart and ids not. */
function firstSegment(path: string): string {
  const end = path.indexOf('/', 1);
  return end < 0 ? path : path.slice(0, end);
}

function newRoutes(): EdgeRoutes {
  const others = newRoute(FIRST_CALLS);
  // No method is like this one, so that the first call finds its own.
  const nothing = { lastMethod: '', lastPath: '', last: others };
  return { reads: new Map(), writes: new Map(), others, ...nothing };
}

function newRoute(seen: number): Route {
  return {
    slowUs: WIDE_ZERO,
    // The routes that share one are no news any more.
    seen: seen + (seen > 0 ? 1 : 0),
    second: 0,
    inSecond: 0,
    every: 1,
    plain: { skipped: 0 },
    clientErrors: { skipped: 0 },
  };
}
