import type { H2Limits } from '#protocol';

/** What tunnels are offered and accepted by in the handshake (ALPN). */
export const TUNNEL_ALPN: readonly string[] = ['h2'];

/**
 * What one side of a tunnel holds against the other. A peer is a verified workload with many callers,
 * so there is room for many streams; each has a window that fills a fast link without a pause, and no
 * more than that is kept for a stream whose reader stopped.
 */
export const TUNNEL_LIMITS: Partial<H2Limits> = {
  maxStreams: 8_192,
  streamWindow: 256 * 1024,
  connectionWindow: 8 * 1024 * 1024,
  // In larger pieces OpenSSL's output costs twice the CPU a byte, as measured.
  maxGatherBytes: 48 * 1024,
  maxFieldBytes: 16 * 1024,
  // One application of many callers that hang up must not end the tunnel of all of them. It is a
  // workload's own tunnel, so whoever floods it floods itself; and this costs a tenth of a core.
  requestsPerRead: 64,
  resetBurst: 5_000,
  resetsPerSecond: 2_000,
};

/** What a peer without a valid identity gets: enough to be told so. */
export const STRANGER_LIMITS: Partial<H2Limits> = {
  ...TUNNEL_LIMITS,
  maxStreams: 8,
  resetBurst: 16,
  resetsPerSecond: 1,
  streamWindow: 65_535,
};
