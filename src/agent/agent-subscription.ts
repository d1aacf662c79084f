import { Distribution, PROCESS_STARTED_AT_MS } from '#wire';
import { acknowledgement } from './acknowledge.ts';
import type { AgentParts } from './agent-core.ts';
import { healthOf } from './agent-health.ts';
import type { AgentOptions } from './agent-options.ts';
import { sentStandings } from './foreign-standing.ts';
import { createSubscription, type Subscription } from './subscribe.ts';

/** Follows the control plane: says what is held and enforced, and takes what comes. */
export function subscribeAgent(of: {
  readonly options: AgentOptions;
  readonly parts: AgentParts;
  readonly random: () => number;
}): Subscription {
  const { options, parts, random } = of;
  const { control, identity, revocations, scheduler, spiffeId, swap } = parts;
  const subscription: Subscription = createSubscription({
    open() {
      const call = control.acquire(Distribution);
      if (call === undefined) return undefined;
      return {
        stream: call.client.bidi(Distribution.method.subscribe) as never,
        close: call.release,
      };
    },
    hello() {
      swap.forgetRefusals();
      parts.auditWatch.greeted();
      return {
        auditSize: BigInt(parts.auditWatch.kept().size),
        node: nodeOf(spiffeId),
        endpoints: parts.peers.announcement().map((each) => ({ ...each })),
        kind: 'agent',
        spiffeId,
        namespaces: ['*'],
        known: swap.held(),
        startedAtMs: PROCESS_STARTED_AT_MS,
        softwareVersion: options.softwareVersion ?? '',
        trustRootVersion: BigInt(swap.current().trustRoot.version),
      };
    },
    ack: () => {
      const readiness = healthOf({ ...parts, subscription }, options.clock());
      const { size, root } = parts.auditWatch.kept();
      return {
        ...acknowledgement({
          swap,
          identity: identity.current(),
          nowMs: options.clock(),
          readiness,
          revocations,
        }),
        auditSize: BigInt(size),
        auditRoot: root,
        foreignBundles: sentStandings(parts.serving.foreign()),
      };
    },
    lookups: () => [],
    async onMessage({ message }) {
      if (message.case === 'endpoints') parts.peers.replace(message.value);
      if (message.case === 'auditCheckpoint') await parts.auditWatch.receive(message.value);
      await swap.receive(message);
      subscription.acknowledge();
    },
    maxRetryMs: 10_000,
    clock: options.clock,
    random,
    scheduler,
    log: options.log,
  });
  return subscription;
}

/** By its identity: host names are whatever their hosts say. */
export function nodeOf(spiffeId: string): string {
  return spiffeId.slice(spiffeId.indexOf('/agent/') + 1);
}
