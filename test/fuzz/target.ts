/** A parser to fuzz. Each is a file in `targets/`, listed in `targets.ts`. */
export type FuzzTarget = {
  readonly name: string;
  /** Inputs to begin with; bytes that once broke something stay here for good. */
  readonly seeds: readonly Buffer[];
  /** What mutations insert besides random bytes. */
  readonly tokens: readonly string[];
  /** Throws if a property does not hold for `bytes`. */
  readonly run: (bytes: Buffer) => void;
};

/** Each character one byte. */
export function bytesOf(...texts: readonly string[]): readonly Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'));
}

/**
 * Cuts `bytes` into pieces at places that depend on the bytes alone, so that a failing input fails
 * again. `round` gives another cut of the same bytes.
 */
export function pieces(bytes: Buffer, round: number): readonly Buffer[] {
  const cut: Buffer[] = [];
  let state = round + bytes.length;
  for (let from = 0; from < bytes.length; ) {
    state = (Math.imul(state, 1_103_515_245) + (bytes[from] ?? 0) + 12_345) >>> 0;
    const size = 1 + ((state >>> 16) % (round === 0 ? 3 : 40));
    // A copy each: a reader that keeps a view of what was lent to it is found out.
    cut.push(Buffer.from(bytes.subarray(from, from + size)));
    from += size;
  }
  return cut;
}
