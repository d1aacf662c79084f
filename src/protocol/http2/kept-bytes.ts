const BUFFER_BYTES = 64 * 1024;
const MAX_FREE = 8;
// As with what goes out: a reader's chunk is as large as this, and a fresh buffer for each that has to wait would make V8 collect
// its old generation many times a second.
const FREE: Buffer[] = [];

/** A copy of `chunk[start, end)`, which is only lent. Whoever needs it no more gives it to `forgetBytes`. */
export function keepBytes(chunk: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  // A stalled stream holds no more than twice what it has to.
  if (!isShared(length)) return Buffer.from(chunk.subarray(start, end));
  const whole = FREE.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  chunk.copy(whole, 0, start, end);
  return whole.subarray(0, length);
}

/**
 * Takes back what `keepBytes` returned.
 * INVARIANT: once, and nobody reads it afterwards. SECURITY: small ones lie in a buffer that Node.js shares with others.
 */
export function forgetBytes(kept: Buffer): void {
  const isOurs = isShared(kept.length) && kept.buffer.byteLength === BUFFER_BYTES;
  if (isOurs && FREE.length < MAX_FREE) FREE.push(Buffer.from(kept.buffer));
}

function isShared(length: number): boolean {
  return length > BUFFER_BYTES / 2 && length <= BUFFER_BYTES;
}
