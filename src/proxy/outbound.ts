import type { Socket } from 'node:net';
import { type PathNormalization, type PortProtocol, trafficOf } from '#lib';
import { findUpstream, type Snapshot, type UpstreamService } from '#snapshot';
import { admit } from './admit.ts';
import { authorizeOutgoing, type Permit } from './authorize.ts';
import type { ProxyContext } from './context.ts';
import { continueTrace } from './forward.ts';
import { type HelloOutcome, readClientHello } from './hello.ts';
import type { HttpCall, HttpDirection, JudgedCall, RequestFacts } from './http-call.ts';
import { serveHttp } from './http-version.ts';
import { judgeReached } from './judge-reached.ts';
import type { UpstreamListener } from './options.ts';
import type { BytePipe } from './pipe.ts';
import type { ConnectionPool } from './pool.ts';
import {
  type CallFacts,
  describeConnection,
  ownParty,
  recordDecision,
  UNKNOWN_PARTY,
} from './record.ts';
import type { Failure, FailureKind } from './respond.ts';
import { choosePort, findService, ServiceConnector, type ServiceRoute } from './route.ts';
import { reachForSession } from './session-reach.ts';
import { SocketPipe } from './socket-pipe.ts';
import { TcpSession } from './tcp-session.ts';
import type { TlsPeer } from './tls-peer.ts';
import { openTunnel } from './tunnel.ts';
import { hearUnknown } from './unknown-service.ts';

/** Connectors by host, for one snapshot. */
const MAX_ROUTES = 4096;
/** `127.0.0.1:9000` as Host says where the caller's library connected, not what it wants. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::|$)/;

/** The calls that the workload itself makes: to any service over HTTP, or to one that a port stands for. */
export class OutboundCalls implements HttpDirection {
  readonly side = 'outbound';
  // The application is shown no certificate.
  readonly isOutdated = false;
  readonly #context: ProxyContext;
  readonly #pool: ConnectionPool;
  readonly #fixed: UpstreamListener | undefined;
  readonly #routes = new Map<string, ServiceConnector>();
  #routesOf: Snapshot | undefined;
  #unroutedOf: Snapshot | undefined;
  #unroutedFacts: CallFacts | undefined;

  constructor(context: ProxyContext, pool: ConnectionPool, fixed?: UpstreamListener) {
    this.#context = context;
    this.#pool = pool;
    this.#fixed = fixed;
  }

  /** Takes a connection of the application; the protocol is that of the port it stands for. */
  accept(socket: Socket): void {
    const fixed = this.#fixed;
    if (fixed === undefined) {
      return openTunnel(socket, this.#context, {
        onOther: () => this.#serveHttp(socket, 'http'),
        onTls: () => this.#serveBySni(socket),
        // A tunnel is a port that stands for one service, opened by the caller: judged as such.
        onTunnel: (service, port) =>
          new OutboundCalls(this.#context, this.#pool, { service, port, localPort: 0 }).accept(
            socket,
          ),
        facts: () => this.#unrouted(),
      });
    }
    socket.pause();
    socket.on('error', () => {
      // Told by `close`, which always follows.
    });
    findService(this.#context, fixed.service, (service) => {
      const port =
        service === undefined
          ? undefined
          : choosePort(service, fixed.port ?? service.ports[0]?.port);
      if (service === undefined || port === undefined) {
        hearUnknown(socket, this.#context, {
          onHttp: () => this.#serveHttp(socket, 'http'),
          onOther: () => this.#refuse(new SocketPipe(socket), 'tcp', { kind: 'no_such_service' }),
        });
      } else if (trafficOf(port.protocol) === 'http') {
        this.#serveHttp(socket, port.protocol);
      } else if (port.protocol === 'tls') {
        const pipe = new SocketPipe(socket);
        readClientHello(pipe, this.#context, (hello) =>
          this.#serveTcp(pipe, { service, port }, hello),
        );
      } else this.#serveTcp(new SocketPipe(socket), { service, port });
    });
  }

  /** The called service's way; one that is not known yet judges its paths itself. */
  pathNormalization(host: string): PathNormalization {
    const snapshot = this.#context.options.snapshots.current();
    if (snapshot === undefined) return 'STRICT';
    return findUpstream(snapshot, this.#fixed?.service ?? host)?.pathNormalization ?? 'NONE';
  }

  // authorize → route → admit → forward; the connection records the call when it is over.
  serve(call: HttpCall, head: RequestFacts): void {
    const enforcement = this.#context.enforcement();
    const { snapshot } = enforcement;
    call.calls.facts = this.#unrouted();
    const ruling = authorizeOutgoing(enforcement);
    call.calls.decided();
    recordDecision(call.record, undefined, snapshot);
    const traceparent = continueTrace(this.#context, call, head);
    if (ruling.kind === 'refuse') return call.respond(ruling.failure);
    call.record.verdict = 'allow';
    const host = this.#fixed?.service ?? head.host;
    const known = this.#known(host, snapshot);
    if (known !== undefined)
      return this.#forward(ruling.permit, call, head, { connector: known, traceparent });
    findService(this.#context, host, (service) => {
      // Looking up may have taken a while, in which the caller may have gone.
      if (call.head !== head) return;
      const connector = service === undefined ? undefined : this.#remember(host, service, snapshot);
      if (connector === undefined) return call.respond({ kind: 'no_such_service' });
      this.#forward(ruling.permit, call, head, { connector, traceparent });
    });
  }

  /** Whether the server that answers is still one that may serve the name it was called by. */
  // Policy denies at the other end, where the record says so.
  noteCut(): undefined {
    return undefined;
  }

  judge(call: JudgedCall): FailureKind | undefined {
    const { calledFqdn } = call;
    if (call.head === undefined || calledFqdn === undefined) return undefined;
    return judgeReached(this.#context, calledFqdn, call.upstream?.secure);
  }

  #forward(
    permit: Permit,
    call: HttpCall,
    head: RequestFacts,
    {
      connector,
      traceparent,
    }: { readonly connector: ServiceConnector; readonly traceparent: string },
  ): void {
    const { service } = connector.route;
    call.calledFqdn = service.fqdn;
    call.calls.facts = connector.unreached;
    call.timeouts = service.timeouts;
    const refused = admit(connector.group);
    if (refused !== undefined) return call.respond(refused);
    const renamed = this.#fixed !== undefined && LOOPBACK.test(head.host);
    if (renamed) call.record.host = service.name;
    call.forward(permit, {
      connector,
      traceparent,
      clientCert: undefined,
      host: renamed ? service.name : undefined,
    });
  }

  #serveHttp(socket: Socket, protocol: PortProtocol): void {
    serveHttp({
      pipe: new SocketPipe(socket),
      context: this.#context,
      direction: this,
      facts: this.#unrouted(),
      alpn: undefined,
      protocol,
    });
  }

  /**
   * TLS sent to the forward proxy as it is. SECURITY: only names of the mesh lead anywhere, and only to
   * ports that speak TLS of the application's own; the server is verified whatever name was asked for.
   */
  #serveBySni(socket: Socket): void {
    const pipe = new SocketPipe(socket);
    readClientHello(pipe, this.#context, (hello) => {
      const { sni } = hello;
      if (sni === undefined) return this.#refuseTls(pipe, hello);
      findService(this.#context, sni, (service) => {
        const ports = service?.ports.filter(({ protocol }) => protocol === 'tls') ?? [];
        const port = ports.length === 1 ? ports[0] : ports.find((one) => one.port === 443);
        if (service === undefined || port === undefined) return this.#refuseTls(pipe, hello);
        this.#serveTcp(pipe, { service, port }, hello);
      });
    });
  }

  #refuseTls(pipe: BytePipe, { sni }: HelloOutcome): void {
    this.#refuse(pipe, 'tls', { kind: 'no_such_service', detail: 'tls_to_unknown' }, sni);
  }

  /** Ends and records a connection that leads nowhere. */
  #refuse(pipe: BytePipe, protocol: PortProtocol, failure: Failure, sni?: string): void {
    const facts = this.#describeUnrouted(protocol, sni);
    const options = { side: this.side, judge: () => undefined, sessionMs: 0 } as const;
    new TcpSession(pipe, this.#context, facts, options).refuse(failure);
  }

  #serveTcp(pipe: BytePipe, route: ServiceRoute, hello?: HelloOutcome): void {
    const context = this.#context;
    const { service } = route;
    let peer: TlsPeer | undefined;
    const facts = new ServiceConnector(context, this.#pool, route);
    const unreached = hello === undefined ? facts.unreached : facts.describe(undefined, hello.sni);
    const session = new TcpSession(pipe, context, unreached, {
      side: this.side,
      judge: () => judgeReached(context, service.fqdn, peer),
      sessionMs: service.timeouts.sessionMs,
    });
    const ruling = authorizeOutgoing(context.enforcement());
    session.decided();
    recordDecision(session.record, undefined, context.options.snapshots.current());
    if (ruling.kind === 'refuse') return session.refuse(ruling.failure);
    session.record.verdict = 'allow';
    if (hello?.kind === 'refused') return session.refuse(hello.failure);
    reachForSession(facts, (outcome) => {
      if (outcome.kind === 'failed') return session.refuse(outcome.failure);
      const { reached, release } = outcome;
      peer = reached.secure;
      session.facts = facts.describe(reached, hello?.sni);
      session.join(ruling.permit, { pipe: reached.pipe, early: hello?.bytes, release });
    });
  }

  // A snapshot's routes are its own: identities and ports may differ in the next one.
  #known(host: string, snapshot: Snapshot | undefined): ServiceConnector | undefined {
    if (snapshot !== this.#routesOf || this.#routes.size > MAX_ROUTES) {
      this.#routes.clear();
      this.#routesOf = snapshot;
    }
    return this.#routes.get(host);
  }

  #remember(
    host: string,
    service: UpstreamService,
    snapshot: Snapshot | undefined,
  ): ServiceConnector | undefined {
    const named = /:(\d+)$/.exec(host)?.[1];
    const wanted = this.#fixed === undefined ? named : (this.#fixed.port ?? service.ports[0]?.port);
    const port = choosePort(service, wanted === undefined ? undefined : Number(wanted));
    if (port === undefined) return undefined;
    const connector = new ServiceConnector(this.#context, this.#pool, { service, port });
    if (snapshot === this.#routesOf) this.#routes.set(host, connector);
    return connector;
  }

  /** Records' constant part of calls that reach no service. */
  #unrouted(): CallFacts {
    const snapshot = this.#context.options.snapshots.current();
    if (this.#unroutedFacts !== undefined && snapshot === this.#unroutedOf)
      return this.#unroutedFacts;
    this.#unroutedOf = snapshot;
    this.#unroutedFacts = this.#describeUnrouted('http', undefined);
    return this.#unroutedFacts;
  }

  #describeUnrouted(protocol: PortProtocol, sni: string | undefined): CallFacts {
    const { metrics, snapshots, identity } = this.#context.options;
    return describeConnection(metrics, {
      reporter: 'source',
      protocol,
      source: ownParty(snapshots.current(), identity.current()),
      sourceIp: undefined,
      destination: UNKNOWN_PARTY,
      destinationPort: 0,
      sni,
      tls: undefined,
      peerSerial: undefined,
    });
  }
}
