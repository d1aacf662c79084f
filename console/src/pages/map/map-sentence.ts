import type { ServiceMap } from '../../api/service-map.ts';
import { formatNoun } from '../../words/format.ts';
import { edgeState } from './edge-state.ts';

const HOUR = 3600;
const DAY = 24 * HOUR;

/** The map's answer in one sentence, the worst first. */
export function mapSentence(map: ServiceMap): string {
  const services = map.nodes.filter((node) => node.kind === 'service').length;
  if (map.edges.length === 0) {
    return `${formatNoun(services, 'service')}, and no call between them in the last ${span(map)}.`;
  }
  const counts = { plaintext: 0, denied: 0, failing: 0, allowed: 0 };
  for (const edge of map.edges) counts[edgeState(edge).tone] += 1;
  const parts = [`${formatNoun(services, 'service')} on ${formatNoun(map.edges.length, 'edge')}`];
  // Sums of the past do not say what was encrypted.
  const isKnown = map.edges.every((edge) => edge.mtls !== null);
  if (counts.plaintext > 0) parts.push(`${counts.plaintext} let plaintext through`);
  else parts.push(isKnown ? 'every call let through is encrypted' : `in ${span(map)}`);
  if (counts.denied > 0) parts.push(`calls are denied on ${counts.denied}`);
  if (counts.failing > 0) parts.push(`calls fail on ${counts.failing}`);
  return `${parts.join(', ')}.`;
}

function span({ windowSeconds }: ServiceMap): string {
  if (windowSeconds >= 2 * DAY) return formatNoun(Math.round(windowSeconds / DAY), 'day');
  if (windowSeconds >= 2 * HOUR) return formatNoun(Math.round(windowSeconds / HOUR), 'hour');
  return formatNoun(Math.round(windowSeconds / 60), 'minute');
}
