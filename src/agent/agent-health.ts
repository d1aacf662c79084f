import type { MetricFamily, Readiness } from '#telemetry';
import type { AgentCore } from './agent-core.ts';
import { agentFamilies } from './agent-metrics.ts';

/** Whether the agent can do its work, and why not. */
export function healthOf({
  identity,
  swap,
  subscription,
  logWatch,
  auditWatch,
}: Pick<AgentCore, 'identity' | 'swap' | 'subscription' | 'logWatch' | 'auditWatch'>): Readiness {
  if (identity.current() === undefined)
    return { ready: false, reason: 'no identity from the CA yet' };
  if (swap.snapshots.current() === undefined) return { ready: false, reason: 'no policy yet' };
  const problem = logWatch.problem() ?? auditWatch.problem(subscription.isConnected());
  if (problem !== undefined) return { ready: false, reason: problem };
  if (!subscription.isConnected()) {
    return { ready: true, reason: 'the control plane is not reachable: serving what is known' };
  }
  return { ready: true, reason: '' };
}

/** What the agent shows to whoever scrapes. */
export function metricsOf(core: AgentCore, nowMs: number): readonly MetricFamily[] {
  const { identity, serving, subscription, swap } = core;
  return agentFamilies({
    nowMs,
    ready: healthOf(core).ready,
    connected: subscription.isConnected(),
    policySets: swap.held().length,
    workloads: serving.parts.svids.served(),
    certificateExpiresAt: identity.current()?.expiresAt,
  });
}
