import { NO_LIMITS, type Snapshot, type TrafficPolicy, type UpstreamService } from '#snapshot';
import { EVENT, type Log, type ProxyMetrics } from '#telemetry';
import { EndpointGroup, type EndpointHealth } from './endpoint-group.ts';
import type { Endpoint } from './options.ts';

/** How an endpoint of a service stands, as this proxy sees it. */
export type EndpointSummary = {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly endpoint: Endpoint;
  readonly health: EndpointHealth;
};

/** Where groups get time, chance and their listeners from. */
export type EndpointGroupsOptions = {
  readonly now: () => number;
  readonly random: () => number;
  readonly metrics: ProxyMetrics;
  readonly log: Log;
};

type ServiceGroup = {
  readonly service: UpstreamService;
  readonly port: number;
  readonly group: EndpointGroup;
};

/** The application has one endpoint and is not asked twice: it is the server's own, not one of many. */
const APPLICATION: TrafficPolicy = {
  loadBalancing: 'LEAST_REQUEST',
  retries: {
    attempts: 0,
    perTryMs: undefined,
    on: new Set(),
    budget: { percent: 0, minPerSecond: 0 },
  },
  limits: NO_LIMITS,
  outlierDetection: {
    consecutiveGatewayErrors: 0,
    consecutiveConnectFailures: 0,
    intervalMs: 60_000,
    baseEjectionMs: 0,
    maxEjectionMs: 0,
    maxEjectionPercent: 0,
    successRate: undefined,
  },
  healthCheck: undefined,
};

/** Every group of one proxy: one for each port of a service that was called, one for each of the application's. */
export class EndpointGroups {
  readonly #options: EndpointGroupsOptions;
  readonly #services = new Map<string, ServiceGroup>();
  readonly #applications = new Map<number, EndpointGroup>();

  constructor(options: EndpointGroupsOptions) {
    this.#options = options;
  }

  ofService(service: UpstreamService, port: number): EndpointGroup {
    const key = `${service.fqdn}:${port}`;
    const known = this.#services.get(key);
    if (known !== undefined) return known.group;
    const { metrics, log } = this.#options;
    const group = new EndpointGroup(service.traffic, {
      ...this.#options,
      name: key,
      onEjected(endpoint, reason) {
        metrics.ejection(reason).value++;
        const address = `${endpoint.host}:${endpoint.port}`;
        log.warn(EVENT.endpointEjected, { service: service.fqdn, address, reason });
      },
    });
    this.#services.set(key, { service, port, group });
    return group;
  }

  ofApplication(port: number, snapshot: Snapshot | undefined): EndpointGroup {
    const known = this.#applications.get(port);
    if (known !== undefined) return known;
    const limits = snapshot?.limits ?? NO_LIMITS;
    const group = new EndpointGroup(
      { ...APPLICATION, limits },
      { ...this.#options, onEjected() {} },
    );
    group.list([{ host: '127.0.0.1', port }]);
    this.#applications.set(port, group);
    return group;
  }

  /** What the Services say now holds at once, for calls under way too; groups that nobody needs go. */
  refresh(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined) return;
    for (const group of this.#applications.values()) {
      group.traffic = { ...APPLICATION, limits: snapshot.limits };
    }
    for (const [key, { service, group }] of this.#services) {
      const now = snapshot.upstreams.get(service.fqdn);
      if (now !== undefined) group.traffic = now.traffic;
      else if (group.calls === 0 && group.slots.open === 0) this.#services.delete(key);
    }
  }

  /** Every endpoint of the services that were called. */
  summarize(): readonly EndpointSummary[] {
    return [...this.#services.values()].flatMap(({ service, port, group }) =>
      group.states.map((state) => ({
        namespace: service.namespace,
        service: service.name,
        port,
        endpoint: state.endpoint,
        health: group.healthOf(state),
      })),
    );
  }
}
