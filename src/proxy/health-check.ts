import { isDeepStrictEqual } from 'node:util';
import type { HealthCheck } from '#snapshot';
import { EVENT, type Log, type ProxyMetrics } from '#telemetry';
import type { EndpointGroup, EndpointState } from './endpoint-group.ts';
import type { Endpoint } from './options.ts';
import type { BytePipe } from './pipe.ts';
import { type AnswerSink, UpstreamConnection } from './upstream-connection.ts';

/** What is checked: the endpoints of one port of a service, reached as its callers reach them. */
export type Checked = {
  readonly group: EndpointGroup;
  readonly route: { readonly service: { readonly fqdn: string } };
  readonly reach: (
    endpoint: Endpoint,
    done: (
      dialed:
        | { readonly kind: 'connected'; readonly pipe: BytePipe }
        | { readonly kind: 'failed'; readonly failure: { readonly kind: string } },
    ) => void,
  ) => void;
};

/** How one check ended; `denied` is an answer of the server's sidecar, so the endpoint is there. */
type CheckOutcome = { readonly passed: boolean; readonly word: string };

/** Checks go on for so long after the last call to the service. */
const UNUSED_MS = 60_000;
/** Endpoints asked in one turn; the rest come in the next ones, so that a large service is no burst. */
const MAX_AT_ONCE = 64;
/** What a sidecar says instead of its application because it does not want this caller. */
const DENIALS = new Set<string | undefined>([
  'policy_denied',
  'peer_unauthenticated',
  'cannot_decide',
  'token_invalid',
  'rate_limited',
]);

/** The active checks of one proxy: a timer for each service that asks for them and is being called. */
export class HealthChecks {
  readonly #metrics: ProxyMetrics;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #running = new Map<EndpointGroup, Watch>();

  constructor(options: {
    readonly metrics: ProxyMetrics;
    readonly log: Log;
    readonly now: () => number;
  }) {
    this.#metrics = options.metrics;
    this.#log = options.log;
    this.#now = options.now;
  }

  /** A call to the service begins: its endpoints are checked from now on, if it asks for that. */
  use(checked: Checked): void {
    const { group } = checked;
    const known = this.#running.get(group);
    if (known !== undefined) {
      known.usedAt = this.#now();
      known.checked = checked;
      return;
    }
    const { healthCheck } = group.traffic;
    if (healthCheck !== undefined) this.#start(checked, healthCheck, this.#now());
  }

  close(): void {
    for (const { timer } of this.#running.values()) clearInterval(timer);
    this.#running.clear();
  }

  #start(checked: Checked, settings: HealthCheck, usedAt: number): void {
    const timer = setInterval(() => this.#turn(watch), settings.intervalMs);
    timer.unref();
    const watch: Watch = { checked, usedAt, timer, settings, next: 0 };
    this.#running.set(checked.group, watch);
    this.#turn(watch);
  }

  #turn(watch: Watch): void {
    const { checked, usedAt } = watch;
    const { group } = checked;
    const { healthCheck } = group.traffic;
    if (healthCheck === undefined || usedAt < this.#now() - UNUSED_MS) return this.#stop(watch);
    if (healthCheck !== watch.settings) {
      // Any change of any Service compiles all of them anew, and must not send calls to endpoints known to be ill.
      if (!isDeepStrictEqual(healthCheck, watch.settings)) {
        clearInterval(watch.timer);
        return this.#start(checked, healthCheck, usedAt);
      }
      watch.settings = healthCheck;
    }
    const { states } = group;
    const count = Math.min(states.length, MAX_AT_ONCE);
    for (let i = 0; i < count; i++) {
      const state = states[watch.next++ % states.length];
      if (state !== undefined) this.#check(watch, state);
    }
  }

  // What was found out grows old: without checks an endpoint is taken for healthy again.
  #stop({ checked: { group }, timer }: Watch): void {
    clearInterval(timer);
    this.#running.delete(group);
    for (const state of group.states) group.forgetChecks(state);
  }

  #check({ checked, settings }: Watch, state: EndpointState): void {
    probe(checked, state.endpoint, settings, ({ passed, word }) => {
      this.#metrics.healthCheck(word).value++;
      const change = checked.group.noteCheck(state, passed, settings);
      if (change === undefined) return;
      const { host, port } = state.endpoint;
      const event = change === 'healthy' ? EVENT.endpointHealthy : EVENT.endpointUnhealthy;
      const { fqdn } = checked.route.service;
      this.#log.warn(event, { service: fqdn, address: `${host}:${port}`, outcome: word });
    });
  }
}

type Watch = {
  checked: Checked;
  usedAt: number;
  readonly timer: NodeJS.Timeout;
  settings: HealthCheck;
  next: number;
};

/** Asks one endpoint; calls back once, within the time-out. */
function probe(
  checked: Checked,
  endpoint: Endpoint,
  settings: HealthCheck,
  done: (outcome: CheckOutcome) => void,
): void {
  let pipe: BytePipe | undefined;
  let isOver = false;
  const finish = (passed: boolean, word: string): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    pipe?.destroy();
    done({ passed, word });
  };
  const timer = setTimeout(() => finish(false, 'timeout'), settings.timeoutMs);
  checked.reach(endpoint, (dialed) => {
    if (dialed.kind === 'failed') return finish(false, dialed.failure.kind);
    pipe = dialed.pipe;
    if (isOver) return pipe.destroy();
    if (settings.probe.kind === 'tcp') return finish(true, 'passed');
    ask(pipe, { ...settings.probe, host: checked.route.service.fqdn }, finish);
  });
}

function ask(
  pipe: BytePipe,
  request: {
    readonly path: string;
    readonly host: string;
    readonly expectedStatuses: ReadonlySet<number>;
  },
  finish: (passed: boolean, word: string) => void,
): void {
  const connection = new UpstreamConnection(pipe, {
    onIdle: () => undefined,
    onGone: () => finish(false, 'failed'),
  });
  const sink: AnswerSink = {
    method: 'GET',
    upgrade: '',
    requestComplete: true,
    onResponseHead(head) {
      if (head.interim) return;
      if (DENIALS.has(head.fields.value('x-palisade-reason'))) return finish(true, 'denied');
      const passed = request.expectedStatuses.has(head.status);
      finish(passed, passed ? 'passed' : 'failed');
    },
    onResponseBody: () => undefined,
    onSwitched: () => undefined,
    onSwitchedBytes: () => undefined,
    onSwitchedEnd: () => undefined,
    onUpstreamDrain: () => undefined,
    onUpstreamFailure: () => finish(false, 'failed'),
  };
  const lines = [
    `GET ${request.path} HTTP/1.1`,
    `host: ${request.host}`,
    'user-agent: palisade-health-check',
    'connection: close',
  ];
  connection.begin(sink, Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
}
