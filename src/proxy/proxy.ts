import { EVENT } from '#telemetry';
import { whyUnable } from './authorize.ts';
import {
  createContext,
  DEFAULT_REAUTHORIZATION,
  DEFAULT_TIMEOUTS,
  type ProxyContext,
} from './context.ts';
import { Tunnels } from './hbone-client.ts';
import { acceptTunnel } from './hbone-server.ts';
import { acceptInbound } from './inbound.ts';
import { type Listener, listen } from './listen.ts';
import type { Proxy, ProxyOptions } from './options.ts';
import { OutboundCalls } from './outbound.ts';
import { ConnectionPool, IDLE_SHARE } from './pool.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** Opens the listeners of one workload's proxy; rejects if a port cannot be had. */
export async function createProxy(options: ProxyOptions): Promise<Proxy> {
  const context = withTunnels(createContext(options));
  const pool = new ConnectionPool(
    () => IDLE_SHARE * (options.snapshots.current()?.timeouts ?? DEFAULT_TIMEOUTS).idleMs,
    () => context.live.now,
  );
  const stopWatching = watchChanges(context, pool);
  const listeners: Listener[] = [];
  const stopListening = (): void => {
    for (const listener of listeners.splice(0)) listener.close();
  };
  const close = async (): Promise<void> => {
    stopListening();
    stopWatching();
    context.checks.close();
    pool.close();
    context.tunnels.close();
    context.h2.close();
    context.live.close();
    context.tokenKeys.close();
  };
  try {
    const ports = await openListeners(context, pool, listeners);
    return {
      ...ports,
      endpoints: () => context.groups.summarize(),
      ready: () => readiness(context),
      async drain(timeoutMs) {
        context.draining = true;
        stopListening();
        await context.live.drain(timeoutMs);
        await close();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function withTunnels(context: Omit<ProxyContext, 'tunnels'>): ProxyContext {
  const whole = context as { -readonly [Key in keyof ProxyContext]: ProxyContext[Key] };
  whole.tunnels = new Tunnels(whole);
  return whole;
}

async function openListeners(
  context: ProxyContext,
  pool: ConnectionPool,
  listeners: Listener[],
): Promise<Pick<Proxy, 'inboundPort' | 'hbonePort' | 'outboundPort' | 'upstreamPorts'>> {
  const { listen: wanted, log } = context.options;
  const open = async (...args: Parameters<typeof listen>): Promise<number> => {
    const listener = await listen(...args);
    listeners.push(listener);
    return listener.port;
  };
  const inboundPort =
    wanted.inbound &&
    (await open(wanted.inbound, context, (socket) => acceptInbound(socket, context, pool)));
  const hbonePort =
    wanted.hbone &&
    (await open(wanted.hbone, context, (socket) => acceptTunnel(socket, context, pool)));
  const calls = new OutboundCalls(context, pool);
  const outboundPort =
    wanted.outbound && (await open(wanted.outbound, context, (socket) => calls.accept(socket)));
  const upstreamPorts: number[] = [];
  for (const upstream of wanted.upstreams) {
    const fixed = new OutboundCalls(context, pool, upstream);
    const address = { host: '127.0.0.1', port: upstream.localPort };
    upstreamPorts.push(await open(address, context, (socket) => fixed.accept(socket)));
  }
  log.info(EVENT.listening, { inboundPort, hbonePort, outboundPort, upstreamPorts });
  return { inboundPort, hbonePort, outboundPort, upstreamPorts };
}

// INVARIANT: what changes is in force before the next event is handled; live connections included.
function watchChanges(context: ProxyContext, pool: ConnectionPool): () => void {
  const { snapshots, identity, revocations, metrics } = context.options;
  let demanded = snapshots.current()?.keyExchange;
  const dialAnew = (): void => {
    pool.flush();
    context.tunnels.retire();
    context.h2.flush();
  };
  const judgeAgain = (): void => {
    const rules = snapshots.current()?.reauthorization ?? DEFAULT_REAUTHORIZATION;
    const { cut, finishing } = context.live.judgeAgain(
      rules.requests === 'finish' ? rules.withinMs : 0,
    );
    metrics.reauthorized('cut').value += cut;
    metrics.reauthorized('finish').value += finishing;
  };
  const stops = [
    snapshots.onChange((snapshot) => {
      if (snapshot?.keyExchange !== demanded) dialAnew();
      demanded = snapshot?.keyExchange;
      context.groups.refresh(snapshot);
      judgeAgain();
    }),
    identity.onChange(() => {
      // Connections speak for the certificate with which they were made.
      dialAnew();
      for (const tunnel of context.inboundTunnels) tunnel.drain();
      judgeAgain();
    }),
    revocations?.onChange(() => {
      judgeAgain();
      pool.retireWhere((connection) => isRevoked(connection, context));
    }),
  ];
  // A time window or an exception may have ended: rules are exact at each decision, connections that
  // last follow within a minute.
  const timer = setInterval(() => {
    if (snapshots.current()?.program.reads.time === true) judgeAgain();
  }, 60_000);
  timer.unref();
  return () => {
    clearInterval(timer);
    for (const stop of stops) stop?.();
  };
}

function isRevoked({ secure }: UpstreamConnection, context: ProxyContext): boolean {
  const enforcement = context.enforcement();
  const { identity } = enforcement;
  return identity !== undefined && secure?.current({ ...enforcement, identity }).ok === false;
}

const REASONS: Readonly<Record<string, string>> = {
  no_snapshot: 'no policy has arrived yet',
  no_identity: 'the workload has no certificate yet',
  own_identity_expired: "the workload's certificate has expired",
  own_identity_revoked: "the workload's certificate was revoked",
  policy_stale: 'the control plane was not heard of for longer than the staleness budget',
};

function readiness(context: ProxyContext): { ready: boolean; reason: string } {
  if (context.draining) return { ready: false, reason: 'draining' };
  const unable = whyUnable(context.enforcement());
  if (unable === undefined && context.tls() === undefined) {
    return { ready: false, reason: "the workload's certificate cannot be used" };
  }
  const identity = context.options.identity.current();
  if (unable === undefined && identity !== undefined && isAboutToExpire(identity, context)) {
    return { ready: false, reason: "the workload's certificate is about to expire, unrenewed" };
  }
  if (unable === undefined) return { ready: true, reason: 'ready' };
  return { ready: false, reason: REASONS[unable] ?? unable };
}

/** Renewal begins at half life: what has a twentieth of it left, or a minute, is not being renewed. */
function isAboutToExpire(
  { notBefore, expiresAt }: { readonly notBefore: number; readonly expiresAt: number },
  { options }: ProxyContext,
): boolean {
  const marginMs = Math.min(60_000, (expiresAt - notBefore) / 20);
  return expiresAt - options.clock() < marginMs;
}
