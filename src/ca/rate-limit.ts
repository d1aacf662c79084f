/** Tokens per key: `take` says whether `key` may go on now. */
export type RateLimit = { readonly take: (key: string) => boolean };

/** `burst` at once, then `perSecond`. */
export type RateLimitOptions = {
  readonly burst: number;
  readonly perSecond: number;
  /** Unix milliseconds. */
  readonly clock: () => number;
};

// SECURITY: keys are identities we issued, so there are few; should somebody enrol without end, the oldest go.
const MAX_KEYS = 10_000;

/** Creates a token bucket for each key. */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(key) {
      const now = options.clock();
      const bucket = buckets.get(key) ?? { tokens: options.burst, at: now };
      const refilled = bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * options.perSecond;
      const tokens = Math.min(options.burst, refilled);
      const passes = tokens >= 1;
      // Put last again, so that the map's first key is the one not seen for longest.
      buckets.delete(key);
      buckets.set(key, { tokens: passes ? tokens - 1 : tokens, at: now });
      if (buckets.size > MAX_KEYS) buckets.delete(buckets.keys().next().value ?? key);
      return passes;
    },
  };
}
