import type { H2Connection } from '#protocol';
import type { Counter } from '#telemetry';
import type { ProxyContext } from './context.ts';
import {
  type DialedPeer,
  dialServer,
  judgeServer,
  type ReachedPeer,
  type ServiceTarget,
} from './dial.ts';
import { H2Transport } from './h2-transport.ts';
import { TUNNEL_ALPN, TUNNEL_LIMITS } from './hbone-limits.ts';
import { TunnelStream } from './hbone-stream.ts';
import type { Live } from './live.ts';
import type { FailureKind } from './respond.ts';

/** How long the other side may take to close a connection that we ended. */
const LINGER_MS = 2_000;

const REFUSED: DialedPeer = {
  kind: 'failed',
  failure: { kind: 'upstream_connect_failed', detail: 'tunnel_refused' },
};

type Waiter = {
  readonly target: ServiceTarget;
  readonly done: (result: DialedPeer) => void;
  /** It waited for a tunnel before that took no streams after all. */
  readonly isAgain?: boolean;
};

/**
 * The tunnels to other proxies: one connection a destination, shared by all calls to whatever is
 * served there, and another one only where it is full, going away, or made under an identity or trust
 * that is not that of now.
 */
export class Tunnels {
  readonly #context: ProxyContext;
  /** By `host:port`; those that take streams, or will when they are connected. */
  readonly #open = new Map<string, Tunnel>();
  readonly #all = new Set<Tunnel>();

  constructor(context: ProxyContext) {
    this.#context = context;
  }

  /** Opens a stream to the port of a service; calls back once. */
  open(target: ServiceTarget, done: (result: DialedPeer) => void): void {
    this.#serve({ target, done });
  }

  /** Identity or trust changed: the next call dials anew, what is under way goes on. */
  retire(): void {
    for (const tunnel of this.#all) tunnel.retire();
  }

  close(): void {
    for (const tunnel of this.#all) tunnel.destroy();
  }

  #serve(waiter: Waiter): void {
    const { service, endpoint } = waiter.target;
    const { host, hbonePort = 0 } = endpoint;
    const key = `${host}:${hbonePort}`;
    const known = this.#open.get(key);
    if (known?.takesStreams === true) return known.open(waiter);
    const tunnel = new Tunnel(this.#context, {
      onFull: (late) => this.#serve({ ...late, isAgain: true }),
      onRetired: () => {
        if (this.#open.get(key) === tunnel) this.#open.delete(key);
      },
      onGone: () => this.#all.delete(tunnel),
    });
    this.#open.set(key, tunnel);
    this.#all.add(tunnel);
    tunnel.open(waiter);
    tunnel.connect({ host, port: hbonePort, timeoutMs: service.timeouts.connectMs });
  }
}

type TunnelEvents = {
  /** It took no streams any more when it was connected. */
  readonly onFull: (waiter: Waiter) => void;
  readonly onRetired: () => void;
  readonly onGone: () => void;
};

/** The client's end of one tunnel. */
class Tunnel implements Live {
  deadlineAt = 0;
  cutAt = 0;
  readonly manner = 'stream';
  readonly #context: ProxyContext;
  readonly #events: TunnelEvents;
  readonly #transport: H2Transport;
  readonly #connection: H2Connection;
  readonly #count: Counter;
  readonly #streams = new Set<TunnelStream>();
  #waiting: Waiter[] = [];
  #reached: ReachedPeer | undefined;
  /** The other side has answered our first words: it has accepted us, too. */
  #isReady = false;
  #retired = false;
  #gone = false;
  /** On the coarse clock: when the other side last said anything, and when it was asked for a word; 0 for not asked. */
  #heardAt = 0;
  #askedAt = 0;
  /** It has streams, and `deadlineAt` is when it is looked after next. */
  #isWatched = false;

  constructor(context: ProxyContext, events: TunnelEvents) {
    this.#context = context;
    this.#events = events;
    this.#count = context.options.metrics.connections('outbound', 'hbone');
    this.#transport = new H2Transport({
      role: 'client',
      carries: 'tunnel',
      limits: TUNNEL_LIMITS,
      events: {
        onRefused: (error) => {
          context.options.metrics.refused(error).value++;
        },
        onGoaway: () => this.retire(),
        onStreamOver: (stream) => {
          this.#streams.delete(stream.sink as TunnelStream);
          this.#endIfUnused();
        },
      },
      onRead: () => this.#onRead(),
      onClose: () => {
        this.retire();
        this.#count.value--;
        this.#onGone(REFUSED);
      },
    });
    this.#connection = this.#transport.connection;
  }

  /** Whether another stream may be opened, or will be allowed to once it is connected. */
  get takesStreams(): boolean {
    return !this.#retired && (!this.#isReady || this.#connection.canOpen);
  }

  connect(to: { readonly host: string; readonly port: number; readonly timeoutMs: number }): void {
    const server = { ...to, serverName: '', alpn: TUNNEL_ALPN, judge: () => undefined };
    dialServer(this.#context, server, (dialed) => {
      if (dialed.kind === 'failed') {
        this.retire();
        this.#onGone(dialed);
      } else this.#start(dialed, to.timeoutMs);
    });
  }

  /** Opens a stream once it is connected. */
  open(waiter: Waiter): void {
    if (this.#reached === undefined || !this.#isReady) this.#waiting.push(waiter);
    else if (!this.#connection.canOpen && waiter.isAgain !== true) this.#events.onFull(waiter);
    else waiter.done(this.#openStream(waiter.target, this.#reached));
  }

  /** Takes no more streams; ends when those it has are over. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#events.onRetired();
    for (const stream of Array.from(this.#streams)) stream.retire();
    this.#endIfUnused();
  }

  expire(): void {
    if (this.#isWatched) this.#askIfSilent();
    else if (this.#retired || !this.#isReady) this.destroy();
    else this.retire();
  }

  // SECURITY: a server that counts no more, or whose key exchange does not, takes its streams along.
  judge(): FailureKind | undefined {
    return this.#whyUnverified() === undefined ? undefined : 'upstream_identity_mismatch';
  }

  cut(): void {
    this.destroy();
  }

  drain(): void {
    this.retire();
  }

  destroy(): void {
    this.retire();
    this.#transport.destroy();
  }

  // In TLS 1.3 a client is done before the server has looked at its certificate, or has closed
  // meanwhile. Nothing is sent into that: what nobody read could not be told from what was lost.
  #start(reached: ReachedPeer, timeoutMs: number): void {
    this.#reached = reached;
    this.deadlineAt = this.#context.live.now + timeoutMs;
    this.#count.value++;
    this.#context.live.add(this);
    this.#transport.start(reached.pipe);
  }

  // A host that vanished says nothing, and the kernel goes on for a quarter of an hour sending to it what calls have begun.
  #askIfSilent(): void {
    const { live, options, timeouts } = this.#context;
    const waitMs = timeouts().headerMs;
    if (live.now - this.#heardAt < waitMs) {
      this.#askedAt = 0;
      this.deadlineAt = this.#heardAt + waitMs;
    } else if (this.#askedAt <= this.#heardAt) {
      this.#askedAt = live.now;
      this.deadlineAt = live.now + waitMs;
      this.#connection.ping();
    } else {
      options.metrics.refused('tunnel_silent').value++;
      this.destroy();
    }
  }

  #onRead(): void {
    this.#heardAt = this.#context.live.now;
    if (this.#isReady || !this.#connection.isSettled) return;
    this.#isReady = true;
    for (const waiter of this.#waiting.splice(0)) this.open(waiter);
    this.#endIfUnused();
  }

  #openStream({ service, port, endpoint }: ServiceTarget, reached: ReachedPeer): DialedPeer {
    // SECURITY: the tunnel is to a proxy; whether that is this service is asked for each stream.
    const code = judgeServer(service, reached.peer) ?? this.#whyUnverified();
    if (code !== undefined) {
      const failure = { kind: 'upstream_identity_mismatch', detail: `server_${code}` } as const;
      return { kind: 'failed', failure };
    }
    const authority = endpoint.authority ?? `${service.fqdn}:${port}`;
    const pipe = TunnelStream.open(this.#connection, authority);
    if (pipe === undefined) {
      const failure = { kind: 'upstream_connect_failed', detail: 'tunnel_full' } as const;
      return { kind: 'failed', failure };
    }
    // It was told to end while the stream's caller waited for its handshake.
    pipe.isRetired = this.#retired;
    this.#streams.add(pipe);
    this.#watch();
    return { kind: 'connected', ...reached, pipe };
  }

  // Not put off by each stream: those to a host that vanished may go on beginning.
  #watch(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.#askedAt = 0;
    this.#heardAt = this.#context.live.now;
    this.deadlineAt = this.#heardAt + this.#context.timeouts().headerMs;
  }

  #endIfUnused(): void {
    if (this.#connection.streamCount > 0 || !this.#isReady) return;
    this.#isWatched = false;
    if (this.#retired) {
      this.#connection.shutdown();
      this.#transport.finish();
      this.deadlineAt = this.#context.live.now + LINGER_MS;
    } else {
      this.deadlineAt = this.#context.live.now + this.#context.timeouts().idleMs;
    }
  }

  #whyUnverified(): string | undefined {
    const enforcement = this.#context.enforcement();
    const { identity } = enforcement;
    if (this.#reached === undefined || identity === undefined) return undefined;
    const peer = this.#reached.secure.current({ ...enforcement, identity });
    return peer.ok ? undefined : peer.error.code;
  }

  #onGone(why: DialedPeer): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#context.live.remove(this);
    this.#events.onGone();
    for (const { done } of this.#waiting.splice(0)) done(why);
  }
}
