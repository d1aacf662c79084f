/** Numbers from 0 up to `below`, the same ones for the same seed. */
export type Random = (below: number) => number;

/** A small generator (xorshift32); `seed` may be any integer. */
export function createRandom(seed: number): Random {
  let state = (seed | 0) ^ 0x9e3779b9 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** An input made from `seeds` by one to six changes. */
export function mutate(
  seeds: readonly Buffer[],
  tokens: readonly string[],
  random: Random,
): Buffer {
  let bytes: Buffer = Buffer.from(pick(seeds, random));
  for (let left = 1 + random(6); left > 0; left--) {
    bytes = CHANGES[random(CHANGES.length)]?.({ bytes, seeds, tokens, random }) ?? bytes;
  }
  return bytes.subarray(0, MAX_BYTES);
}

/** A shorter input for which `fails` still holds, by leaving out ever smaller pieces. */
export function shrink(bytes: Buffer, fails: (bytes: Buffer) => boolean): Buffer {
  let best = bytes;
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let from = 0; from < best.length; ) {
      const shorter = Buffer.concat([best.subarray(0, from), best.subarray(from + size)]);
      if (fails(shorter)) best = shorter;
      else from += size;
    }
  }
  return best;
}

const MAX_BYTES = 16 * 1024;

type Change = {
  readonly bytes: Buffer;
  readonly seeds: readonly Buffer[];
  readonly tokens: readonly string[];
  readonly random: Random;
};

const AWKWARD = [0, 9, 10, 11, 13, 32, 34, 44, 46, 47, 48, 58, 59, 92, 127, 128, 255];

const CHANGES: readonly ((change: Change) => Buffer)[] = [
  // One bit, one byte, one awkward byte.
  ({ bytes, random }) => replaced(bytes, random, (byte) => byte ^ (1 << random(8))),
  ({ bytes, random }) => replaced(bytes, random, () => random(256)),
  ({ bytes, random }) => replaced(bytes, random, () => AWKWARD[random(AWKWARD.length)] ?? 0),
  // A token or an awkward byte more.
  ({ bytes, tokens, random }) =>
    tokens.length === 0
      ? bytes
      : inserted(bytes, random, Buffer.from(pick(tokens, random), 'latin1')),
  ({ bytes, random }) => inserted(bytes, random, Buffer.of(AWKWARD[random(AWKWARD.length)] ?? 0)),
  // A piece less, a piece twice, the end missing, a piece of another seed.
  ({ bytes, random }) => {
    const [from, to] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  ({ bytes, random }) => {
    const [from, to] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  ({ bytes, random }) => bytes.subarray(0, random(bytes.length + 1)),
  ({ bytes, seeds, random }) => {
    const other = pick(seeds, random);
    const [from, to] = range(other, random);
    return inserted(bytes, random, other.subarray(from, to));
  },
];

function pick<T>(all: readonly T[], random: Random): T {
  return all[random(all.length)] as T;
}

function range(bytes: Buffer, random: Random): readonly [from: number, to: number] {
  const from = random(bytes.length + 1);
  return [from, Math.min(bytes.length, from + 1 + random(24))];
}

function replaced(bytes: Buffer, random: Random, change: (byte: number) => number): Buffer {
  const out = Buffer.from(bytes);
  const at = random(out.length || 1);
  if (at < out.length) out[at] = change(out[at] ?? 0) & 0xff;
  return out;
}

function inserted(bytes: Buffer, random: Random, more: Buffer): Buffer {
  const at = random(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
}
