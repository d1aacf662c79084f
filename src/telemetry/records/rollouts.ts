import type { RecordedCall } from './access-record.ts';

/** Which calls a change of policy touches, for a time after it came into force; those are kept whatever the rate. */
export type Rollouts = {
  /** Calls that one of these policies or exceptions (`namespace/name`) decides are touched until then; Unix ms. */
  readonly open: (ids: Iterable<string>, untilMs: number) => void;
  /** Whether the call is touched and there is room for it; false costs nothing while nothing was changed. */
  readonly takes: (call: RecordedCall, nowMs: number) => boolean;
  /** Calls that were touched and beyond the bounds: they went the way of all others. */
  readonly exceeded: () => number;
};

/** How long calls are touched where no TelemetryPolicy says otherwise. */
export const DEFAULT_ROLLOUT_MS = 60_000;

// A busy sidecar pays for this many more records a second, whatever changes; and what is seen of one policy does not
// use up what may be seen of another.
const MAX_A_POLICY = 50;
const MAX_IN_ALL = 200;

/** Nothing was changed yet. */
export function createRollouts(): Rollouts {
  return new ChangedPolicies();
}

class ChangedPolicies implements Rollouts {
  readonly #until = new Map<string, number>();
  #lastUntil = 0;
  readonly #taken = new Map<string, number>();
  #takenInAll = 0;
  #second = 0;
  #exceeded = 0;

  open(ids: Iterable<string>, untilMs: number): void {
    for (const id of ids) {
      this.#until.set(id, untilMs);
      this.#lastUntil = Math.max(this.#lastUntil, untilMs);
    }
  }

  takes(call: RecordedCall, nowMs: number): boolean {
    if (this.#until.size === 0 && call.dryRun === undefined) return false;
    const id = this.#toucherOf(call, nowMs);
    return id !== undefined && this.#hasRoomFor(id, nowMs);
  }

  exceeded(): number {
    return this.#exceeded;
  }

  /** By what the call is touched, if it is. */
  #toucherOf(call: RecordedCall, nowMs: number): string | undefined {
    if (call.dryRun !== undefined) {
      // A policy in dry-run that would do otherwise is being rolled out for as long as it is in dry-run.
      const other = call.dryRun.find(({ verdict }) => verdict !== call.verdict);
      if (other !== undefined) return other.policy;
    }
    if (nowMs >= this.#lastUntil) this.#until.clear();
    if (this.#until.size === 0) return undefined;
    if (this.#isOpen(call.policy, nowMs)) return call.policy ?? undefined;
    return this.#isOpen(call.exception, nowMs) ? call.exception : undefined;
  }

  #isOpen(id: string | null | undefined, nowMs: number): boolean {
    return typeof id === 'string' && nowMs < (this.#until.get(id) ?? 0);
  }

  #hasRoomFor(id: string, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken.clear();
      this.#takenInAll = 0;
    }
    const taken = this.#taken.get(id) ?? 0;
    if (taken >= MAX_A_POLICY || this.#takenInAll >= MAX_IN_ALL) {
      this.#exceeded++;
      return false;
    }
    this.#taken.set(id, taken + 1);
    this.#takenInAll++;
    return true;
  }
}
