import type { RecordedCall } from '../records/access-record.ts';
import type { EdgeCounters } from './edge.ts';
import type { NumberSample } from './exposition.ts';

/** Good ones and all of one service level indicator since they were last taken; telemetry.proto's SecurityCount. */
export type SecurityCount = {
  readonly name: 'handshake' | 'authentication' | 'decision_latency';
  readonly good: number;
  readonly total: number;
};

/** What a proxy tells the control plane of how its security does. */
export type SecurityCounts = {
  /** Counts how long the decision on an incoming call took. */
  readonly countCall: (edge: EdgeCounters, call: RecordedCall) => void;
  /** What changed since the last time; what nothing happened to is left out. */
  readonly take: () => readonly SecurityCount[];
};

type Totals = Record<SecurityCount['name'], { good: number; total: number }>;

/** The objective `decision-latency` counts against this. */
const GOOD_DECISION_US = 1_000;

/** Counts from the samples of `palisade_handshakes_total`, and decisions as they come. */
export function createSecurityCounts(handshakes: () => readonly NumberSample[]): SecurityCounts {
  const latency = { good: 0, total: 0 };
  let taken = totalsOf([], { good: 0, total: 0 });
  return {
    countCall(edge, call) {
      // What an external authorizer takes is not ours to promise.
      if (edge.key.reporter === 'source' || call.decisionUs < 0 || call.isConsulted) return;
      latency.total++;
      if (call.decisionUs <= GOOD_DECISION_US) latency.good++;
    },
    take() {
      const before = taken;
      taken = totalsOf(handshakes(), latency);
      return (Object.keys(taken) as SecurityCount['name'][]).flatMap((name) => {
        const good = taken[name].good - before[name].good;
        const total = taken[name].total - before[name].total;
        return total === 0 ? [] : [{ name, good, total }];
      });
    },
  };
}

/** A handshake that ended on the way is its own failure; one that came to its end may still prove nobody. */
function totalsOf(handshakes: readonly NumberSample[], latency: Totals['handshake']): Totals {
  const totals = {
    handshake: { good: 0, total: 0 },
    authentication: { good: 0, total: 0 },
    decision_latency: { ...latency },
  };
  for (const { labels, value } of handshakes) {
    const outcome = labels['outcome'] ?? '';
    const isWhole = !/^(failed|handshake_\w+|no_common_protocol)$/.test(outcome);
    totals.handshake.total += value;
    if (!isWhole) continue;
    totals.handshake.good += value;
    totals.authentication.total += value;
    if (outcome === 'ok') totals.authentication.good += value;
  }
  return totals;
}
