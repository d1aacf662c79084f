import { Host } from '#wire';
import { goodKeys, type PeriodKey } from './redaction-keys.ts';
import { createScheduler } from './timer.ts';
import { followWorkloadStream, type WorkloadStreamOptions } from './workload-stream.ts';

/** A sidecar's hold on the mesh's redaction keys; in memory alone. */
export type RedactionKeyClient = {
  /** The newest last. */
  readonly current: () => readonly PeriodKey[];
  readonly close: () => void;
};

// Calls that began yesterday end today, and are recorded then.
const MAX_HELD = 3;

/** Follows the agent's stream of keys, which comes over the same socket, under the same attestation, as SVIDs do. */
export function followRedactionKeys(
  options: Pick<WorkloadStreamOptions, 'agentSocket' | 'log'> & Partial<WorkloadStreamOptions>,
  onChange: (keys: readonly PeriodKey[]) => void,
): RedactionKeyClient {
  let held: readonly PeriodKey[] = [];
  const timing = { random: Math.random, scheduler: createScheduler(), ...options };
  const close = followWorkloadStream(timing, Host.method.followRedactionKeys, {
    received({ keys }) {
      const came = goodKeys(keys);
      const kept = held.filter(({ period }) => came.every((one) => one.period !== period));
      held = [...kept, ...came].toSorted((a, b) => (a.period < b.period ? -1 : 1)).slice(-MAX_HELD);
      onChange(held);
      return true;
    },
    lost() {
      // What is held goes on until its day is over; then the sidecar's own key does, and records say so.
    },
  });
  return { current: () => held, close };
}
