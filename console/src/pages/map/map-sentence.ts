import type { ServiceMap } from '../../api/service-map.ts';
import { formatNoun } from '../../words/format.ts';
import { edgeState } from './edge-state.ts';

/** The map's answer in one sentence, the worst first. */
export function mapSentence(map: ServiceMap): string {
  const services = map.nodes.filter((node) => node.kind === 'service').length;
  if (map.edges.length === 0) {
    return `${formatNoun(services, 'service')}, and no call between them in the last ${minutes(map)}.`;
  }
  const counts = { plaintext: 0, denied: 0, failing: 0, allowed: 0 };
  for (const edge of map.edges) counts[edgeState(edge).tone] += 1;
  const parts = [`${formatNoun(services, 'service')} on ${formatNoun(map.edges.length, 'edge')}`];
  parts.push(
    counts.plaintext === 0
      ? 'every call let through is encrypted'
      : `${counts.plaintext} let plaintext through`,
  );
  if (counts.denied > 0) parts.push(`calls are denied on ${counts.denied}`);
  if (counts.failing > 0) parts.push(`calls fail on ${counts.failing}`);
  return `${parts.join(', ')}.`;
}

function minutes(map: ServiceMap): string {
  return formatNoun(Math.round(map.windowSeconds / 60), 'minute');
}
