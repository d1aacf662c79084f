import type { PortProtocol } from '#lib';
import type { InboundPort, Snapshot, UpstreamPort, UpstreamService } from '#snapshot';
import { findUpstream } from '#snapshot';
import { ALPN_H2 } from './authenticate.ts';
import type { Connector, DialOutcome } from './connector.ts';
import { ownFqdn, type ProxyContext, serverNameOf } from './context.ts';
import { type DialedPeer, dialService, dialTcp, type ReachedPeer } from './dial.ts';
import type { EndpointGroup, EndpointState } from './endpoint-group.ts';
import type { H2Reach, H2Reached } from './h2-pool.ts';
import { translated } from './h2-translated.ts';
import { H2Upstream } from './h2-upstream.ts';
import { judgeReached } from './judge-reached.ts';
import type { Endpoint } from './options.ts';
import { type ConnectionPool, IDLE_SHARE } from './pool.ts';
import { type CallFacts, describeConnection, ownParty } from './record.ts';
import { UpstreamConnection } from './upstream-connection.ts';

// Applications close idle connections without a word, Node.js after 5 s by default; a request sent
// just then is lost, and one with effects must not be sent again. A new one costs little on loopback.
const APPLICATION_IDLE_MS = 4_000;

/**
 * The service port that an incoming connection is for: the one its SNI names in Istio's form
 * `outbound_.PORT_._.HOST`, else the only one there is; undefined if neither tells.
 */
export function inboundPortOf(
  snapshot: Snapshot,
  sni: string | undefined,
): InboundPort | undefined {
  const named = sni === undefined ? null : /^outbound_\.(\d{1,5})_\.[^_]*_\.(.+)$/.exec(sni);
  if (named === null) return snapshot.inbound.length === 1 ? snapshot.inbound[0] : undefined;
  // SECURITY: a name that is not ours came here by a wrong address; nobody else's policy applies.
  if (named[2]?.toLowerCase() !== ownFqdn(snapshot)) return undefined;
  const port = Number(named[1]);
  return snapshot.inbound.find((inbound) => inbound.port === port);
}

/**
 * The service port that a CONNECT names: `HOST:PORT` of the workload's own service, or the proxy's own
 * address with the application's port, as ztunnel sends it. Undefined if it is none of ours.
 */
export function tunnelPortOf(
  snapshot: Snapshot,
  authority: string,
  own: { readonly address: string | undefined; readonly appPort: number | undefined },
): InboundPort | undefined {
  const named = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(authority);
  const host = named?.[1]?.toLowerCase();
  const port = Number(named?.[2]);
  // SECURITY: as with the SNI, a name that is not ours came here by a wrong address.
  if (host === ownFqdn(snapshot)) return snapshot.inbound.find((inbound) => inbound.port === port);
  if (host !== own.address && host !== `[${own.address}]`) return undefined;
  const found = snapshot.inbound.filter((inbound) => (inbound.targetPort ?? own.appPort) === port);
  // Two services' ports that lead to one port are two policies: which one is meant, nobody said.
  return found.length === 1 ? found[0] : undefined;
}

/** The way to the workload's own application at `port` of 127.0.0.1. */
export function applicationConnector(
  context: ProxyContext,
  pool: ConnectionPool,
  port: number,
  protocol: PortProtocol,
): Connector {
  const key = `127.0.0.1:${port}`;
  const group = context.groups.ofApplication(port, context.options.snapshots.current());
  if (speaksHttp2(protocol)) return http2Application(context, pool, { key, group, port });
  return {
    group,
    choose: () => group.choose(),
    take: () => pool.take(key, APPLICATION_IDLE_MS),
    dial(_endpoint, done) {
      const { connectMs } = context.timeouts();
      dialTcp({ host: '127.0.0.1', port }, { timeoutMs: connectMs }, (dialed) => {
        if (dialed.kind === 'failed') {
          group.slots.release();
          return done(dialed);
        }
        const connection = pool.adopt(
          { key, group },
          (events) => new UpstreamConnection(dialed.pipe, events),
        );
        done({ kind: 'connected', connection });
      });
    },
  };
}

// INVARIANT: an application that was declared to speak HTTP/2 gets nothing else.
function http2Application(
  context: ProxyContext,
  pool: ConnectionPool,
  to: { readonly key: string; readonly group: EndpointGroup; readonly port: number },
): Connector {
  const { group, port } = to;
  const http2: H2Reach = (_endpoint, done) => {
    const { connectMs } = context.timeouts();
    const server = { host: '127.0.0.1', port };
    context.h2.reach(
      to,
      (adopt, made) =>
        dialTcp(server, { timeoutMs: connectMs }, (dialed) => {
          if (dialed.kind === 'failed') return made(dialed);
          const connection = adopt((events) => new H2Upstream(dialed.pipe, events));
          made({ kind: 'connected', connection });
        }),
      done,
    );
  };
  return {
    group,
    choose: () => group.choose(),
    take: () => undefined,
    dial(endpoint, done) {
      http2(endpoint, (reached) => {
        if (reached.kind === 'failed') {
          group.slots.release();
          return done(reached);
        }
        const pipe = translated(reached.connection);
        const connection = pool.adopt(to, (events) => new UpstreamConnection(pipe, events));
        done({ kind: 'connected', connection });
      });
    },
    http2,
  };
}

function speaksHttp2(protocol: PortProtocol): boolean {
  return protocol === 'http2' || protocol === 'grpc';
}

/** A port of a service that a call goes to. */
export type ServiceRoute = { readonly service: UpstreamService; readonly port: UpstreamPort };

/** The port of a service that `portNumber` names; without one 80, else its only port. */
export function choosePort(
  service: UpstreamService,
  portNumber: number | undefined,
): UpstreamPort | undefined {
  const found = service.ports.find(({ port }) => port === (portNumber ?? 80));
  if (found !== undefined || portNumber !== undefined) return found;
  return service.ports.length === 1 ? service.ports[0] : undefined;
}

/** Finds the service of `host` in the snapshot or, for names that could be the mesh's, by asking. */
export function findService(
  context: ProxyContext,
  host: string,
  done: (service: UpstreamService | undefined) => void,
): void {
  const snapshot = context.options.snapshots.current();
  const known = snapshot === undefined ? undefined : findUpstream(snapshot, host);
  if (known !== undefined || snapshot === undefined) return done(known);
  const name = host.replace(/:\d+$/, '');
  if (!couldBeOurs(name, snapshot)) return done(undefined);
  void askForService(context, name, done);
}

async function askForService(
  context: ProxyContext,
  name: string,
  done: (service: UpstreamService | undefined) => void,
): Promise<void> {
  let service: UpstreamService | undefined;
  try {
    service = await context.options.resolve(name);
  } catch {
    // Nobody could say: to the caller that is the same as an unknown service.
  }
  done(service);
}

// `NAME.NS`, `NAME.NS.svc`, `NAME.NS.svc.TD`: only these are ever asked for.
function couldBeOurs(host: string, snapshot: Snapshot): boolean {
  const [, , svc, ...domain] = host.split('.');
  if (svc === undefined) return host.includes('.');
  return svc === 'svc' && (domain.length === 0 || domain.join('.') === snapshot.trustDomain);
}

/** Ways to one port of a service over mutual TLS: endpoints in turn, connections kept. */
export class ServiceConnector implements Connector {
  readonly route: ServiceRoute;
  /** Records' constant part while no server has been reached. */
  readonly unreached: CallFacts;
  /** Where the service speaks HTTP/2. Calls in HTTP/1.1 go as they are: its own sidecar translates. */
  readonly http2: H2Reach | undefined;
  readonly #context: ProxyContext;
  readonly #pool: ConnectionPool;
  readonly group: EndpointGroup;

  constructor(context: ProxyContext, pool: ConnectionPool, route: ServiceRoute) {
    this.route = route;
    this.#context = context;
    this.#pool = pool;
    this.group = context.groups.ofService(route.service, route.port.port);
    this.unreached = this.describe(undefined);
    this.http2 = speaksHttp2(route.port.protocol)
      ? (state, done) => this.#reachHttp2(state, done)
      : undefined;
  }

  choose(tried: readonly EndpointState[]): EndpointState | undefined {
    const { service, port } = this.route;
    this.group.list(this.#context.options.endpoints(service, port.port));
    if (this.group.traffic.healthCheck !== undefined) this.#context.checks.use(this);
    return this.group.choose(tried);
  }

  take({ key }: EndpointState): UpstreamConnection | undefined {
    // The server's own proxy goes by the same Service's time-out.
    const maxIdleMs = IDLE_SHARE * this.route.service.timeouts.idleMs;
    for (;;) {
      const connection = this.#pool.take(key, maxIdleMs);
      if (connection === undefined) return undefined;
      // Who may serve the name can have changed since the connection was made.
      if (this.route.service.identities.has(connection.peerId ?? '')) return connection;
      connection.destroy();
    }
  }

  makeRoom({ key }: EndpointState): void {
    this.#pool.giveUpIdle(this.group, key);
  }

  dial({ endpoint, key }: EndpointState, done: (outcome: DialOutcome) => void): void {
    const { group } = this;
    this.reach(endpoint, (dialed) => {
      if (dialed.kind === 'failed') {
        group.slots.release();
        return done(dialed);
      }
      const peer = {
        secure: dialed.secure,
        id: dialed.peer.id.text,
        facts: this.describe(dialed),
      };
      const connection = this.#pool.adopt(
        { key, group },
        (events) => new UpstreamConnection(dialed.pipe, events, peer),
      );
      done({ kind: 'connected', connection });
    });
  }

  /** A connection of its own to a server that has proved to be the service. */
  reach(endpoint: Endpoint, done: (dialed: DialedPeer) => void): void {
    const { service, port } = this.route;
    dialService(this.#context, { service, port: port.port, endpoint }, done);
  }

  #reachHttp2({ endpoint, key }: EndpointState, done: (reached: H2Reached) => void): void {
    const { service, port } = this.route;
    const target = { service, port: port.port, endpoint, protocol: ALPN_H2 };
    this.#context.h2.reach(
      { key, group: this.group },
      (adopt, made) =>
        dialService(this.#context, target, (dialed) => {
          if (dialed.kind === 'failed') return made(dialed);
          const peer = { secure: dialed.secure, facts: this.describe(dialed) };
          const connection = adopt((events) => new H2Upstream(dialed.pipe, events, peer));
          made({ kind: 'connected', connection });
        }),
      (reached) => {
        if (reached.kind === 'failed') return done(reached);
        // Who may serve the name, or counts at all, can have changed since the connection was made.
        const kind = judgeReached(this.#context, service.fqdn, reached.connection.peer?.secure);
        if (kind === undefined) return done(reached);
        reached.connection.retire();
        done({ kind: 'failed', failure: { kind, detail: 'server_not_the_service' } });
      },
    );
  }

  /** Records' constant part for calls over `dialed`, or for those that reached nobody; `sni` where it is not the mesh's. */
  describe(dialed: ReachedPeer | undefined, sni?: string): CallFacts {
    const { service, port } = this.route;
    const { options } = this.#context;
    return describeConnection(options.metrics, {
      reporter: 'source',
      protocol: port.protocol,
      source: ownParty(options.snapshots.current(), options.identity.current()),
      sourceIp: undefined,
      destination: {
        id: dialed?.peer.id.text,
        service: service.name,
        namespace: service.namespace,
      },
      destinationPort: port.port,
      sni: sni ?? (dialed === undefined ? undefined : serverNameOf(service.fqdn, port.port)),
      tls: dialed?.tls,
      peerSerial: dialed?.peer.serial,
    });
  }
}
