import { createGuarded } from './guarded-index.ts';
import type { Pattern } from './ir.ts';
import { textMatches } from './pattern.ts';
import type { PatternIndex } from './pattern-index.ts';

/** Namespaces: the segment after each `/ns/`, by itself or as the start of a wildcard. */
export function namespaceIndex(): PatternIndex {
  const segments = new Map<string, number>();
  const wild = createGuarded();
  return {
    at(pattern, create) {
      if (pattern.kind !== 'pieces') throw new Error('a namespace pattern is made of pieces');
      const [first = '', ...more] = pattern.pieces;
      const name = first.slice(NS.length, more.length === 0 ? -1 : undefined);
      const plain = more.length === 0 && name !== '' && !name.includes('/');
      if (!plain) return wild.at(name, pattern, create);
      const value = segments.get(name) ?? create();
      segments.set(name, value);
      return value;
    },
    collect({ localId: id }, out) {
      if (id === undefined) return;
      for (let at = id.indexOf(NS); at >= 0; at = id.indexOf(NS, at + 1)) {
        const start = at + NS.length;
        const end = id.indexOf('/', start);
        const value = end < 0 ? undefined : segments.get(id.slice(start, end));
        if (value !== undefined) out.push(value);
        wild.collect(id, start, out);
      }
    },
  };
}

/** Service accounts: by namespace and account segment of the identity, then checked in full. */
export function accountIndex(): PatternIndex {
  const entries = new Map<string, { readonly pattern: Pattern; readonly value: number }>();
  return {
    at(pattern, create) {
      if (pattern.kind !== 'serviceAccount') throw new Error('not a service account');
      const key = `${pattern.namespace}/${pattern.account}`;
      const entry = entries.get(key) ?? { pattern, value: create() };
      entries.set(key, entry);
      return entry.value;
    },
    collect({ localId: id }, out) {
      if (id === undefined) return;
      for (let at = id.indexOf(NS); at >= 0; at = id.indexOf(NS, at + 1)) {
        const namespace = segmentAt(id, at + NS.length);
        for (let sa = id.indexOf(SA, at); sa >= 0; sa = id.indexOf(SA, sa + 1)) {
          const entry = entries.get(`${namespace}/${segmentAt(id, sa + SA.length)}`);
          if (entry !== undefined && textMatches(entry.pattern, id)) out.push(entry.value);
        }
      }
    },
  };
}

const NS = '/ns/';
const SA = '/sa/';

function segmentAt(text: string, start: number): string {
  const end = text.indexOf('/', start);
  return end < 0 ? text.slice(start) : text.slice(start, end);
}
