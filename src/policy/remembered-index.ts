import type { Facts } from './facts.ts';
import type { NumberList } from './number-list.ts';
import type { PatternIndex } from './pattern-index.ts';

/**
 * An index that remembers what each text matched: identities and addresses come again with every request of their
 * connection, and to take one apart makes texts anew each time. An absent text matches nothing.
 */
export function rememberedByText(
  index: PatternIndex,
  textOf: (facts: Facts) => string | undefined,
): PatternIndex {
  const known = new Map<string, Int32Array>();
  return {
    at(pattern, create) {
      known.clear();
      return index.at(pattern, create);
    },
    collect(facts, out) {
      const text = textOf(facts);
      if (text === undefined) return;
      const found = known.get(text);
      if (found !== undefined) {
        for (let i = 0; i < found.length; i++) out.push(found[i] ?? 0);
        return;
      }
      const before = out.count;
      index.collect(facts, out);
      // SECURITY: callers choose their addresses; more of them than this begin anew instead of taking more memory.
      if (known.size >= MOST_TEXTS) known.clear();
      known.set(text, numbersFrom(out, before));
    },
  };
}

// A function of its own: what a closure holds on to is allocated with every call, also those that find their text.
function numbersFrom(list: NumberList, start: number): Int32Array {
  return Int32Array.from({ length: list.count - start }, (_, i) => list.at(start + i));
}

// With identities of usual length, a quarter of a megabyte.
const MOST_TEXTS = 1_024;
