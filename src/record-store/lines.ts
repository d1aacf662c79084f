import { fail, ok, type Result } from '#lib';
import { MAX_BLOCKS, unpackLines } from '#telemetry';

/** A record as it came, or why there is none. */
export type Line = Result<Uint8Array, string>;

const LINE_FEED = 0x0a;
// SECURITY: several times what a sidecar sends at once; each costs the effort to find that it is no record.
const MAX_LINES = 20_000;

/**
 * The records of a message, one after the other, without their line feeds. What is no block or is beyond the bounds is
 * one failure. SECURITY: never all at once: a block of line feeds has a hundred thousand times its own size in views.
 */
export function* linesOf(blocks: readonly Uint8Array[]): Generator<Line> {
  let count = 0;
  for (const block of blocks.slice(0, MAX_BLOCKS)) {
    const lines = unpackLines(block);
    if (!lines.ok) {
      yield lines;
      continue;
    }
    const bytes = lines.value;
    for (let start = 0; start < bytes.length; count++) {
      if (count >= MAX_LINES) return yield TOO_MANY;
      const found = bytes.indexOf(LINE_FEED, start);
      const end = found < 0 ? bytes.length : found;
      yield ok(bytes.subarray(start, end));
      start = end + 1;
    }
  }
  if (blocks.length > MAX_BLOCKS) yield TOO_MANY;
}

const TOO_MANY: Line = fail('more records than a message holds');
