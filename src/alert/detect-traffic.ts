import { ALERTS } from './catalog.ts';
import { type Condition, plural, shellWord } from './condition.ts';
import type { DenialBurst, MeshFacts, PlaintextFact } from './facts.ts';

/** What is wrong between callers and services. */
export function trafficConditions({ plaintext, bursts }: MeshFacts): readonly Condition[] {
  return [...plaintext.map(plaintextCondition), ...bursts.map(burstCondition)];
}

function plaintextCondition({ source, destination, calls }: PlaintextFact): Condition {
  const [namespace = '', service = ''] = destination.split('/');
  return {
    name: 'plaintext-allowed',
    severity: ALERTS['plaintext-allowed'].severity,
    labels: { source, destination, namespace, service },
    summary: `${source} → ${destination} is allowed in plaintext`,
    evidence: [{ text: `${plural(calls, 'call')} in the last 15 minutes`, link: '/map' }],
    command: 'palisade status --plaintext',
  };
}

function burstCondition(burst: DenialBurst): Condition {
  const { source, destination, namespace, denied, usual, policy, reason, denialId } = burst;
  const [, service = ''] = destination.split('/');
  const decided = policy === null ? 'no policy allows it' : `denied by ${policy}`;
  const evidence = [
    {
      text: `${plural(denied, 'denial')} in five minutes, usually ${usual.toFixed(1)}; ${decided}${reason === null ? '' : ` (${reason})`}`,
      link: `/denials?to=${encodeURIComponent(destination)}`,
    },
    ...(denialId === null
      ? []
      : [{ text: `denial ${denialId}`, link: `/denials/${encodeURIComponent(denialId)}` }]),
  ];
  return {
    name: 'denial-burst',
    severity: ALERTS['denial-burst'].severity,
    labels: { source, destination, namespace, service },
    summary: `${source} → ${destination} was denied ${plural(denied, 'time')} in five minutes`,
    evidence,
    command:
      denialId === null
        ? `palisade log --denied --to=${shellWord(service)} --since 5m`
        : `palisade explain ${shellWord(denialId)}`,
    ...(burst.expectedBy === undefined ? {} : { expectedBy: burst.expectedBy }),
  };
}
