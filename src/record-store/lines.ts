const LINE_FEED = 0x0a;

/**
 * The lines of a text without their line feeds, one after the other; what stands behind the last one is a line as well.
 * SECURITY: never all at once: a text of line feeds has a hundred times its own size in views.
 */
export function* linesOf(text: Uint8Array): Generator<Uint8Array> {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found < 0 ? bytes.length : found;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}
