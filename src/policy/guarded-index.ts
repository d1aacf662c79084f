import type { Pattern } from './ir.ts';
import type { NumberList } from './number-list.ts';
import { textMatches } from './pattern.ts';
import { patternKey } from './pattern-key.ts';
import { createTrie } from './trie.ts';

/** Patterns that need a check of their own, found by the literal text they start with. */
export type Guarded = {
  /** The number under a pattern that begins with `start`, made by `create` where there is none. */
  readonly at: (start: string, pattern: Pattern, create: () => number) => number;
  /** Appends the numbers of those that match all of `text` and begin at `start` of it. */
  readonly collect: (text: string, start: number, out: NumberList) => void;
};

/** An empty index. */
export function createGuarded(): Guarded {
  const entries = createTrie<Map<string, Entry>>();
  const found: Map<string, Entry>[] = [];
  return {
    at(start, pattern, create) {
      const group = entries.at(start, () => new Map());
      const key = patternKey(pattern);
      const known = group.get(key);
      if (known !== undefined) return known.value;
      const entry = { pattern, value: create() };
      group.set(key, entry);
      return entry.value;
    },
    collect(text, start, out) {
      found.length = 0;
      entries.collect(text, start, found);
      for (const group of found) {
        for (const entry of group.values()) {
          if (textMatches(entry.pattern, text)) out.push(entry.value);
        }
      }
    },
  };
}

type Entry = { readonly pattern: Pattern; readonly value: number };
