import type { Evidence } from './evidence.ts';

/** How a try to deliver a batch ended. */
export type Outcome =
  /** The receiver has it; of it, it refused `rejected` by itself and does not want them again. */
  | { readonly kind: 'delivered'; readonly rejected?: number; readonly note?: string }
  /** Not now: unreachable, busy, or in trouble; `afterMs` is what it asked for. */
  | { readonly kind: 'retry'; readonly reason: string; readonly afterMs?: number | undefined }
  /** Never: it does not take what is in the batch. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Brings batches of one kind of evidence to a receiver. */
export type Receiver = {
  /** Rejects only for a batch that cannot be written down; ends soon after `signal` says so. What it answers holds no secret. */
  readonly deliver: (batch: readonly Evidence[], signal: AbortSignal) => Promise<Outcome>;
  readonly close: () => void;
};

/**
 * Delivers and never rejects. SECURITY: an item that cannot be written down (a host sent a field of another type) must cost
 * that item, which is found by halving as what a receiver refuses is, and never the process.
 */
export async function deliverSafely(
  receiver: Pick<Receiver, 'deliver'>,
  batch: readonly Evidence[],
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    return await receiver.deliver(batch, signal);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    return { kind: 'refused', reason: `cannot be written down: ${quoted(reason)}` };
  }
}

/** A try that failed in a way that is worth another. */
export function retry(reason: string, afterMs?: number): Outcome {
  return { kind: 'retry', reason, afterMs };
}

/** What an answer by HTTP means for the batch. */
export function outcomeOfStatus(status: number, detail: string, afterMs?: number): Outcome {
  const reason = `answered ${status}${detail === '' ? '' : `: ${detail}`}`;
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  // What is wrong with the data itself; all else (credentials, paths, trouble) can be put right without losing any.
  if ([400, 413, 422].includes(status)) return { kind: 'refused', reason };
  return retry(reason, afterMs);
}

const MAX_AFTER_MS = 600_000;

/** RFC 9110 section 10.2.3: seconds or a date, as ms from now; undefined where it is neither or absent. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  // SECURITY: a receiver may slow us down, not silence us for good.
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_AFTER_MS);
}

/** Text of others made fit for a line of ours: short, printable ASCII and no more. */
export function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  const clean = text.replaceAll(/[^\u0020-\u007e]+/g, ' ').trim();
  return clean.length > 200 ? `${clean.slice(0, 197)}...` : clean;
}
