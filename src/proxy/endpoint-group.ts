import type { HealthCheck, TrafficPolicy } from '#snapshot';
import { chooseInTurn, chooseLeastRequest } from './balancer.ts';
import { ConnectionSlots } from './connection-slots.ts';
import type { Endpoint } from './options.ts';
import {
  createOutlierRecord,
  type EjectionReason,
  eject,
  endInterval,
  isEjected,
  mayEject,
  noteOutcome,
  type OutlierRecord,
  type TryOutcome,
} from './outlier.ts';
import { RetryBudget } from './retry-budget.ts';

/** One endpoint and what this proxy has seen of it. */
export type EndpointState = {
  endpoint: Endpoint;
  /** Group and address, one and the same string for every call: pools find its connections by it. */
  readonly key: string;
  readonly outlier: OutlierRecord;
  /** Tries under way. */
  active: number;
  /** What active checks say; `unknown` until the first answer, and where nobody asks. */
  checked: 'unknown' | 'healthy' | 'unhealthy';
  /** Checks in a row that contradict it. */
  contradictions: number;
};

/** What an endpoint is thought of. */
export type EndpointHealth = 'healthy' | 'ejected' | 'unhealthy';

/** Where a group gets the time, chance and its listeners from. */
export type EndpointGroupOptions = {
  /** Tells its endpoints from those of other groups at the same address. */
  readonly name?: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** From 0 to 1, 1 excluded. */
  readonly random: () => number;
  readonly onEjected: (endpoint: Endpoint, reason: EjectionReason) => void;
};

/**
 * The endpoints of one port of a service as one proxy sees them: which are healthy, how busy each is,
 * and how much of everything is under way. Outlives snapshots; connectors of all callers share it.
 */
export class EndpointGroup {
  readonly slots = new ConnectionSlots();
  readonly retries: RetryBudget;
  /** Calls under way. */
  calls = 0;
  traffic: TrafficPolicy;
  readonly #options: EndpointGroupOptions;
  #listed: readonly Endpoint[] = [];
  #states: readonly EndpointState[] = [];
  #turn = 0;
  #intervalEnds = 0;

  constructor(traffic: TrafficPolicy, options: EndpointGroupOptions) {
    this.traffic = traffic;
    this.#options = options;
    this.retries = new RetryBudget(options.now);
  }

  get states(): readonly EndpointState[] {
    return this.#states;
  }

  /** Takes the endpoints of now; what is known of those that stay is kept. */
  list(endpoints: readonly Endpoint[]): void {
    if (endpoints === this.#listed) return;
    this.#listed = endpoints;
    const known = new Map(this.#states.map((state) => [state.key, state]));
    this.#states = endpoints.map((endpoint) => {
      // How it is spoken to is part of it: connections kept for another way there are not used any more.
      const { host, port, hbonePort = 0, authority = '' } = endpoint;
      const key = `${this.#options.name ?? ''}@${host}:${port} ${hbonePort} ${authority}`;
      const state = known.get(key);
      if (state === undefined) return createState(endpoint, key);
      state.endpoint = endpoint;
      return state;
    });
  }

  /**
   * The endpoint for one try: none that was `tried` in this call if there is another, and none that
   * is ejected unless all are. One that a check found unhealthy is never chosen.
   */
  choose(tried: readonly EndpointState[] = []): EndpointState | undefined {
    const [only] = this.#states;
    // Most services have one endpoint here, and every request passes.
    if (only === undefined || this.#states.length === 1)
      return only?.checked === 'unhealthy' ? undefined : only;
    this.#endInterval();
    const now = this.#options.now();
    return (
      this.#pick((state) => !tried.includes(state) && !isEjected(state.outlier, now)) ??
      this.#pick((state) => !tried.includes(state)) ??
      this.#pick(() => true)
    );
  }

  /** Notes how a try ended; ejects where it is one failure too many. */
  report(state: EndpointState, outcome: TryOutcome): void {
    const reason = noteOutcome(state.outlier, outcome, this.traffic.outlierDetection);
    if (reason !== undefined) this.#eject(state.outlier, reason);
  }

  /** Notes what an active check found; returns what is thought of the endpoint now, if that changed. */
  noteCheck(
    state: EndpointState,
    passed: boolean,
    { healthyThreshold, unhealthyThreshold }: HealthCheck,
  ): 'healthy' | 'unhealthy' | undefined {
    const found = passed ? 'healthy' : 'unhealthy';
    if (state.checked === found || (state.checked === 'unknown' && passed)) {
      state.checked = found;
      state.contradictions = 0;
      return undefined;
    }
    state.contradictions++;
    if (state.contradictions < (passed ? healthyThreshold : unhealthyThreshold)) return undefined;
    state.checked = found;
    state.contradictions = 0;
    return found;
  }

  /** Nobody checks the endpoint any more. */
  forgetChecks(state: EndpointState): void {
    state.checked = 'unknown';
    state.contradictions = 0;
  }

  healthOf(state: EndpointState): EndpointHealth {
    if (state.checked === 'unhealthy') return 'unhealthy';
    return isEjected(state.outlier, this.#options.now()) ? 'ejected' : 'healthy';
  }

  #pick(isUsable: (state: EndpointState) => boolean): EndpointState | undefined {
    const states = this.#states;
    const mayBe = (state: EndpointState): boolean =>
      state.checked !== 'unhealthy' && isUsable(state);
    if (this.traffic.loadBalancing === 'LEAST_REQUEST')
      return chooseLeastRequest(states, mayBe, this.#options.random);
    this.#turn = (this.#turn + 1) % Math.max(1, states.length);
    return chooseInTurn(states, mayBe, this.#turn);
  }

  #eject(outlier: OutlierRecord, reason: EjectionReason): void {
    const now = this.#options.now();
    const ejected = this.#states.filter((state) => isEjected(state.outlier, now)).length;
    if (isEjected(outlier, now)) return;
    if (!mayEject(this.#states.length, ejected, this.traffic.outlierDetection)) return;
    eject(outlier, this.traffic.outlierDetection, now);
    const state = this.#states.find((each) => each.outlier === outlier);
    if (state !== undefined) this.#options.onEjected(state.endpoint, reason);
  }

  // Looked at when somebody asks: a service that nobody calls needs no timer.
  #endInterval(): void {
    const now = this.#options.now();
    if (now < this.#intervalEnds) return;
    const isFirst = this.#intervalEnds === 0;
    this.#intervalEnds = now + this.traffic.outlierDetection.intervalMs;
    if (isFirst) return;
    const records = this.#states.map(({ outlier }) => outlier);
    for (const outlier of endInterval(records, this.traffic.outlierDetection, now)) {
      this.#eject(outlier, 'success_rate');
    }
  }
}

function createState(endpoint: Endpoint, key: string): EndpointState {
  return {
    endpoint,
    key,
    outlier: createOutlierRecord(),
    active: 0,
    checked: 'unknown',
    contradictions: 0,
  };
}
