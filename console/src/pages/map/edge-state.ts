import type { MapEdge } from '../../api/service-map.ts';
import type { Tone } from '../../parts/state-word.tsx';
import { formatPercent, formatRate } from '../../words/format.ts';

/** The state of an edge, with what proves it. */
export type EdgeState = {
  readonly tone: Extract<Tone, 'allowed' | 'denied' | 'failing' | 'plaintext'>;
  /** One or two words. */
  readonly word: string;
  /** The words with their number, for the label and the screen reader. */
  readonly sentence: string;
};

/** Failures below this share are weather, not a state. */
const FAILING_SHARE = 0.01;

/**
 * The worst that is true of an edge now. Plaintext comes first: a call that anyone on the wire can
 * read is worse than one that is stopped.
 */
export function edgeState(edge: MapEdge): EdgeState {
  if (edge.mtls === false && edge.requests > edge.denied) {
    return { tone: 'plaintext', word: 'plaintext', sentence: 'not encrypted' };
  }
  const active = edge.rate > 0;
  const denied = active ? edge.deniedRate : edge.denied;
  const total = active ? edge.rate : edge.requests;
  if (denied > 0) {
    const share = Math.min(1, denied / Math.max(total, denied));
    const word = share >= 0.995 ? 'denied' : `${formatPercent(share)} denied`;
    return { tone: 'denied', word, sentence: `${formatPercent(share)} of calls denied` };
  }
  const errors = active ? edge.errorRate : edge.errors;
  const share = total > 0 ? errors / total : 0;
  if (share >= FAILING_SHARE) {
    const word = `${formatPercent(share)} failing`;
    return { tone: 'failing', word, sentence: `${formatPercent(share)} of calls failing` };
  }
  const sentence = edge.mtls === true ? 'encrypted and allowed' : 'allowed';
  return { tone: 'allowed', word: 'allowed', sentence };
}

/** The width of an edge in pixels: the logarithm of its rate, so that a busy one hides no quiet one. */
export function edgeWidth(ratePerSecond: number): number {
  return Math.min(9, 1.5 + 1.6 * Math.log10(1 + Math.max(0, ratePerSecond)));
}

/** An edge in one breath, e.g. `web to orders: 3.2/s, encrypted and allowed`. */
export function edgeSentence(edge: MapEdge, from: string, to: string): string {
  const rate = edge.rate > 0 ? formatRate(edge.rate) : 'idle';
  return `${from} to ${to}: ${rate}, ${edgeState(edge).sentence}`;
}
