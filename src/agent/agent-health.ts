import type { MetricFamily, Readiness } from '#telemetry';
import type { AgentCore } from './agent-core.ts';
import { agentFamilies } from './agent-metrics.ts';
import { standingProblem } from './foreign-standing.ts';

type Looked = 'identity' | 'swap' | 'subscription' | 'logWatch' | 'auditWatch' | 'serving';

/** Whether the agent can do its work, and why not. */
export function healthOf(of: Pick<AgentCore, Looked>, nowMs: number): Readiness {
  const { identity, swap, subscription, logWatch, auditWatch, serving } = of;
  if (identity.current() === undefined)
    return { ready: false, reason: 'no identity from the CA yet' };
  if (swap.snapshots.current() === undefined) return { ready: false, reason: 'no policy yet' };
  const problem = logWatch.problem() ?? auditWatch.problem(subscription.isConnected());
  if (problem !== undefined) return { ready: false, reason: problem };
  if (!subscription.isConnected()) {
    return { ready: true, reason: 'the control plane is not reachable: serving what is known' };
  }
  return { ready: true, reason: standingProblem(serving.foreign(), nowMs) ?? '' };
}

/** What the agent shows to whoever scrapes. */
export function metricsOf(core: AgentCore, nowMs: number): readonly MetricFamily[] {
  const { identity, serving, subscription, swap } = core;
  return agentFamilies({
    nowMs,
    ready: healthOf(core, nowMs).ready,
    connected: subscription.isConnected(),
    policySets: swap.held().length,
    workloads: serving.parts.svids.served(),
    certificateExpiresAt: identity.current()?.expiresAt,
    foreign: serving.foreign(),
  });
}
