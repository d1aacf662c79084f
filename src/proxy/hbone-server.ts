import type { Socket } from 'node:net';
import { type H2Connection, type H2RequestHead, type H2Stream, type H2StreamSink } from '#protocol';
import type { Snapshot } from '#snapshot';
import type { Counter } from '#telemetry';
import { type Arrival, authenticate, callerOf, NO_OWN_IDENTITY, refuseRaw } from './arrival.ts';
import { whyUnable } from './authorize.ts';
import type { ProxyContext } from './context.ts';
import { H2Transport } from './h2-transport.ts';
import { STRANGER_LIMITS, TUNNEL_ALPN, TUNNEL_LIMITS } from './hbone-limits.ts';
import { TunnelStream } from './hbone-stream.ts';
import { serveArrival } from './inbound.ts';
import { watchNewcomer } from './listen.ts';
import type { Live } from './live.ts';
import type { ConnectionPool } from './pool.ts';
import type { FailureKind } from './respond.ts';
import { tunnelPortOf } from './route.ts';

/**
 * Takes a tunnel: the connection is authenticated once, and each CONNECT stream in it is an incoming
 * connection of that peer, which goes the same way as one that came by itself.
 */
export function acceptTunnel(raw: Socket, context: ProxyContext, pool: ConnectionPool): void {
  const unable = whyUnable(context.enforcement());
  if (unable !== undefined && NO_OWN_IDENTITY.has(unable)) return refuseRaw(context, raw, unable);
  // Half-open connections of peers that vanished are found out by the kernel.
  raw.setKeepAlive(true, KEEP_ALIVE_MS);
  const newcomer = watchNewcomer(raw, context);
  authenticate(raw, context, TUNNEL_ALPN, (arrival) => {
    newcomer.settle();
    const tunnel = new InboundTunnel(arrival, context, pool);
    tunnel.start();
    // Our certificate changed during the handshake, which nobody could see who drained the tunnels there were.
    if (context.tls() !== arrival.shown) tunnel.drain();
  });
}

const KEEP_ALIVE_MS = 30_000;
const IGNORED: H2StreamSink = {
  onData: () => undefined,
  onTrailers: () => undefined,
  onReset: () => undefined,
  onDrain: () => undefined,
};

/** The server's end of one tunnel. */
class InboundTunnel implements Live {
  deadlineAt: number;
  cutAt = 0;
  readonly manner = 'stream';
  readonly #arrival: Arrival;
  readonly #context: ProxyContext;
  readonly #pool: ConnectionPool;
  readonly #connection: H2Connection;
  readonly #transport: H2Transport;
  readonly #count: Counter;
  #isDraining = false;

  constructor(arrival: Arrival, context: ProxyContext, pool: ConnectionPool) {
    this.#arrival = arrival;
    this.#context = context;
    this.#pool = pool;
    this.#count = context.options.metrics.connections('inbound', 'hbone');
    // A peer that never says its preface is no tunnel.
    this.deadlineAt = context.live.now + context.timeouts().headerMs;
    this.#transport = new H2Transport({
      role: 'server',
      carries: 'tunnel',
      limits: arrival.caller.kind === 'verified' ? TUNNEL_LIMITS : STRANGER_LIMITS,
      events: {
        onRefused: (error) => {
          context.options.metrics.refused(error).value++;
        },
        onRequest: (stream, head, isEnd) => this.#onRequest(stream, head, isEnd),
        onStreamOver: () => this.#endIfUnused(),
      },
      onRead: () => this.#onRead(),
      onClose: () => {
        this.#count.value--;
        context.live.remove(this);
        context.inboundTunnels.delete(this);
      },
    });
    this.#connection = this.#transport.connection;
  }

  start(): void {
    this.#count.value++;
    this.#context.live.add(this);
    this.#context.inboundTunnels.add(this);
    this.#transport.start(this.#arrival.pipe);
  }

  expire(): void {
    if (this.#connection.streamCount > 0) return;
    if (this.#isDraining || !this.#connection.isSettled) this.destroy();
    else this.drain();
  }

  // What its streams carry is judged stream by stream; here, whether the peer still counts.
  judge(): FailureKind | undefined {
    const { caller, secure } = this.#arrival;
    const enforcement = this.#context.enforcement();
    const { identity } = enforcement;
    if (secure === undefined || identity === undefined || caller.kind !== 'verified')
      return undefined;
    return secure.current({ ...enforcement, identity }).ok ? undefined : 'peer_unauthenticated';
  }

  // The streams have been judged as well, and have recorded why.
  cut(): void {
    this.destroy();
  }

  /** Tells the peer to open no more streams here; those it has go on, and the last one ends it. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#connection.shutdown();
    this.#endIfUnused();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  #onRead(): void {
    if (!this.#connection.isSettled || this.deadlineAt === 0) return;
    if (this.#connection.streamCount > 0) this.deadlineAt = 0;
  }

  #onRequest(stream: H2Stream, head: H2RequestHead | 'tooLarge', isEnd: boolean): H2StreamSink {
    const { metrics, snapshots } = this.#context.options;
    const refuse = (status: number, kind: string): H2StreamSink => {
      metrics.refused(kind).value++;
      this.#connection.respond(stream, [':status', `${status}`], true);
      return IGNORED;
    };
    if (head === 'tooLarge') return refuse(431, 'too_large');
    if (head.method !== 'CONNECT') return refuse(405, 'tunnel_not_connect');
    if (isEnd || head.authority === undefined) return refuse(400, 'bad_connect');
    const snapshot: Snapshot | undefined = snapshots.current();
    const port = snapshot && tunnelPortOf(snapshot, head.authority, this.#portSource());
    if (snapshot !== undefined && port === undefined) return refuse(404, 'unknown_port');
    const pipe = TunnelStream.accept(this.#connection, stream);
    const { secure } = this.#arrival;
    const enforcement = this.#context.enforcement();
    const { identity } = enforcement;
    // SECURITY: the peer is who the tunnel's handshake says, by the rules of now; what headers say
    // (baggage, x-forwarded-…, traceparent) is nobody's identity and decides nothing.
    const caller =
      secure === undefined || identity === undefined
        ? this.#arrival.caller
        : callerOf(secure.current({ ...enforcement, identity }));
    // What the tunnel agreed on says nothing of what runs in it.
    const arrival = {
      ...this.#arrival,
      pipe,
      caller,
      shown: undefined,
      sni: undefined,
      alpn: undefined,
      port,
    };
    serveArrival(arrival, this.#context, this.#pool);
    return pipe;
  }

  #portSource(): { readonly address: string | undefined; readonly appPort: number | undefined } {
    return { address: this.#arrival.localIp, appPort: this.#context.options.appPort };
  }

  #endIfUnused(): void {
    if (this.#connection.streamCount > 0) return;
    const { live } = this.#context;
    this.deadlineAt = live.now + (this.#isDraining ? LINGER_MS : this.#idleMs());
  }

  #idleMs(): number {
    // Callers let go first, so that none of them finds it closed.
    return 2 * this.#context.timeouts().idleMs;
  }
}

const LINGER_MS = 1_000;
