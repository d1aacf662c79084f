import type { EnforcementPoint, HeldSet } from '../../api/enforcement-point.ts';
import { formatNoun } from '../../words/format.ts';

/** One enforcement point and one namespace it holds; undefined where it holds none yet. */
export type PointRow = { readonly point: EnforcementPoint; readonly set: HeldSet | undefined };

/** What needs a person first, then by name. */
export function sortPoints(points: readonly EnforcementPoint[]): readonly EnforcementPoint[] {
  return points.toSorted(
    (a, b) =>
      trouble(b) - trouble(a) || nameOf(a).localeCompare(nameOf(b)) || a.node.localeCompare(b.node),
  );
}

/** The namespaces it lags in first, then by name. */
export function sortSets(sets: readonly HeldSet[]): readonly HeldSet[] {
  return sets.toSorted(
    (a, b) => Number(a.current) - Number(b.current) || a.namespace.localeCompare(b.namespace),
  );
}

/** A row for each namespace of a point, and one for a point without any. */
export function rowsOf(point: EnforcementPoint): readonly PointRow[] {
  const sets = point.sets.length === 0 ? [undefined] : sortSets(point.sets);
  return sets.map((set) => ({ point, set }));
}

/** A point as people know it: its service, or its role and node. */
export function nameOf(point: EnforcementPoint): string {
  if (point.service !== null) return point.service;
  if (point.kind === 'ca') return 'certificate authority';
  return `${point.kind} ${point.node.replace(`${point.kind}/`, '')}`;
}

/** How a point is, in one word, and why in a sentence (empty when all is well). */
export function pointState(point: EnforcementPoint): {
  tone: 'allowed' | 'stale' | 'failing' | 'denied';
  word: string;
  reason: string;
} {
  const refusal = point.refused[0];
  if (refusal !== undefined) {
    const reason =
      point.reason || `refused ${refusal.namespace} version ${refusal.number}: ${refusal.message}`;
    return { tone: 'denied', word: 'refuses', reason };
  }
  if (point.stale) return { tone: 'stale', word: 'stale', reason: point.reason };
  if (!point.connected) {
    return { tone: 'stale', word: 'not connected', reason: point.reason };
  }
  if (!point.ready) return { tone: 'failing', word: 'not ready', reason: point.readyReason };
  if (point.exposed.length > 0) {
    const reason = `its application can be reached around it at ${point.exposed.join(', ')}: let it listen on 127.0.0.1 only`;
    return { tone: 'failing', word: 'can be gone around', reason };
  }
  return { tone: 'allowed', word: 'enforces', reason: point.reason };
}

/** The page's answer in one sentence. */
export function enforcementSentence(points: readonly EnforcementPoint[]): string {
  if (points.length === 0) return 'No enforcement point has reported yet.';
  const stale = points.filter((point) => point.stale).length;
  const refusing = points.filter((point) => point.refused.length > 0).length;
  const unready = points.filter((point) => !point.ready).length;
  const around = points.filter(({ exposed }) => exposed.length > 0).length;
  const gone = points.filter((point) => !point.connected && !point.stale).length;
  const parts = [
    stale > 0 && `${stale} stale`,
    refusing > 0 && `${formatNoun(refusing, 'point')} refusing a version`,
    unready > 0 && `${unready} not ready`,
    gone > 0 && `${gone} not connected`,
    around > 0 && `${around} can be gone around`,
  ].filter((part) => part !== false);
  const total = formatNoun(points.length, 'enforcement point');
  if (parts.length === 0) return `All ${total} enforce the newest signed version.`;
  // One that can be gone around enforces all the same what goes through it.
  const well = points.filter(
    (point) => !point.stale && point.connected && point.ready && point.refused.length === 0,
  ).length;
  return `Enforced on ${well} of ${total}: ${parts.join(', ')}.`;
}

function trouble(point: EnforcementPoint): number {
  return ['allowed', 'failing', 'stale', 'denied'].indexOf(pointState(point).tone);
}
