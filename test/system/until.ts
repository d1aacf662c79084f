// Waiting in system tests: what one process is told reaches the others within moments, and nobody says when.
import { setTimeout as delay } from 'node:timers/promises';

/** How long something is waited for, how often it is looked at, and what is told where it never came. */
export type Patience = {
  readonly withinMs?: number;
  readonly everyMs?: number;
  readonly told?: () => string | Promise<string>;
};

/**
 * Resolves to the first answer of `look` that is something, neither undefined nor false. Rejects with what `look` throws, at
 * once, so that it may hold what must be true meanwhile; and when the time is up, naming `what` was waited for.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { withinMs = 30_000, everyMs = 100, told }: Patience = {},
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) break;
    await delay(everyMs);
  }
  const more = told === undefined ? '' : `:\n${await told()}`;
  throw new Error(`not within ${withinMs / 1000} s: ${what}${more}`);
}

/** Asks until the answer has this status; resolves to that answer. */
export async function untilStatus<A extends { readonly status: number }>(
  wanted: number,
  ask: () => Promise<A>,
  patience: Patience = {},
): Promise<A> {
  let last: A | undefined;
  const look = async (): Promise<A | false> => {
    last = await ask();
    return last.status === wanted && last;
  };
  return until(`status ${wanted}`, look, { told: () => JSON.stringify(last), ...patience });
}
