/** Bounds of a retry delay, in milliseconds. */
export type BackoffOptions = { readonly minMs: number; readonly maxMs: number };

/** Delays that double up to `maxMs` with full jitter; `reset` after a success. */
export type Backoff = { readonly nextMs: () => number; readonly reset: () => void };

/** Creates the delays of one retried operation; `random` is injectable so that tests are exact. */
export function createBackoff(
  options: BackoffOptions,
  random: () => number = Math.random,
): Backoff {
  let ceiling = options.minMs;
  return {
    nextMs() {
      const delay = options.minMs / 2 + random() * (ceiling - options.minMs / 2);
      ceiling = Math.min(options.maxMs, ceiling * 2);
      return delay;
    },
    reset() {
      ceiling = options.minMs;
    },
  };
}
