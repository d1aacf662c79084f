import { type AddressIndex, createAddressIndex } from './address-index.ts';
import { type Facts, factText } from './facts.ts';
import type { Field, Pattern } from './ir.ts';
import { textMatches } from './pattern.ts';
import { templateStart } from './template.ts';
import { createSuffixTrie, createTrie, type SuffixTrie, type Trie } from './trie.ts';

/**
 * Values under the patterns of one field. `collect` finds the values of all patterns that match in
 * time that grows with the length of the field's value, not with the number of patterns.
 */
export type PatternIndex<T> = {
  /** The value under a pattern, made by `create` where there is none. */
  readonly at: (pattern: Pattern, create: () => T) => T;
  /** Appends the values of all patterns that match, some perhaps twice. */
  readonly collect: (facts: Facts, out: T[]) => void;
};

/** A text by which equal patterns of one field are equal. */
export function patternKey(pattern: Pattern): string {
  switch (pattern.kind) {
    case 'exact':
    case 'prefix':
    case 'suffix':
      return `${pattern.kind} ${pattern.value}`;
    case 'present':
      return pattern.kind;
    case 'serviceAccount':
      return `${pattern.kind} ${pattern.namespace}/${pattern.account}`;
    case 'block':
      return `${pattern.kind} ${pattern.block.bytes.join('.')}/${pattern.block.bits}`;
    case 'port':
      return `${pattern.kind} ${pattern.port}`;
    case 'template':
    case 'pieces':
      return `${pattern.kind} ${pattern.text}`;
  }
}

/** An empty index over the patterns of `field`. */
export function createPatternIndex<T>(field: Field): PatternIndex<T> {
  if (field === 'port') return portIndex();
  if (field === 'ip') return blockIndex();
  if (field === 'namespace') return namespaceIndex();
  if (field === 'serviceAccount') return accountIndex();
  return textIndex(field);
}

function portIndex<T>(): PatternIndex<T> {
  const values = new Map<number, T>();
  return {
    at: (pattern, create) => valueAt(values, pattern.kind === 'port' ? pattern.port : -1, create),
    collect(facts, out) {
      const value = values.get(facts.port);
      if (value !== undefined) out.push(value);
    },
  };
}

function blockIndex<T>(): PatternIndex<T> {
  const values: AddressIndex<T> = createAddressIndex();
  return {
    at: (pattern, create) => {
      if (pattern.kind !== 'block') throw new Error('an address pattern is a block');
      return values.at(pattern.block, create);
    },
    collect: (facts, out) => values.collect(facts.address, out),
  };
}

function textIndex<T>(field: Field): PatternIndex<T> {
  const exact = new Map<string, T>();
  const prefixes = lazy<Trie<T>>(createTrie);
  const suffixes = lazy<SuffixTrie<T>>(createSuffixTrie);
  const templates = lazy<Guarded<T>>(createGuarded);
  let suffixSkip = 0;
  let present: T | undefined;
  let presentEmpty = false;
  return {
    at(pattern, create) {
      switch (pattern.kind) {
        case 'exact':
          return valueAt(exact, pattern.value, create);
        case 'prefix':
          return prefixes.make().at(pattern.value, create);
        case 'suffix':
          // Every suffix pattern of a field skips the same: the scheme of identities, or nothing.
          suffixSkip = pattern.skip;
          return suffixes.make().at(pattern.value, create);
        case 'present':
          presentEmpty = pattern.empty;
          return (present ??= create());
        case 'template':
          return templates.make().at(templateStart(pattern.template), pattern, create);
        default:
          throw new Error(`a ${pattern.kind} pattern does not match text`);
      }
    },
    collect(facts, out) {
      const text = factText(field, facts);
      if (text === undefined) return;
      const value = exact.get(text);
      if (value !== undefined) out.push(value);
      if (present !== undefined && (presentEmpty || text !== '')) out.push(present);
      prefixes.made?.collect(text, 0, out);
      suffixes.made?.collect(text, suffixSkip, out);
      templates.made?.collect(text, 0, out);
    },
  };
}

/** Namespaces: the segment after each `/ns/`, by itself or as the start of a wildcard. */
function namespaceIndex<T>(): PatternIndex<T> {
  const segments = new Map<string, T>();
  const wild = createGuarded<T>();
  return {
    at(pattern, create) {
      if (pattern.kind !== 'pieces') throw new Error('a namespace pattern is made of pieces');
      const [first = '', ...more] = pattern.pieces;
      const name = first.slice(NS.length, more.length === 0 ? -1 : undefined);
      const plain = more.length === 0 && name !== '' && !name.includes('/');
      return plain ? valueAt(segments, name, create) : wild.at(name, pattern, create);
    },
    collect({ id }, out) {
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
function accountIndex<T>(): PatternIndex<T> {
  const entries = new Map<string, Entry<T>>();
  return {
    at(pattern, create) {
      if (pattern.kind !== 'serviceAccount') throw new Error('not a service account');
      const key = `${pattern.namespace}/${pattern.account}`;
      return valueAt(entries, key, () => ({ pattern, value: create() })).value;
    },
    collect({ id }, out) {
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

type Entry<T> = { readonly pattern: Pattern; readonly value: T };

/** Patterns that need a check of their own, found by the literal text they start with. */
type Guarded<T> = {
  readonly at: (start: string, pattern: Pattern, create: () => T) => T;
  readonly collect: (text: string, start: number, out: T[]) => void;
};

function createGuarded<T>(): Guarded<T> {
  const entries = createTrie<Map<string, Entry<T>>>();
  const found: Map<string, Entry<T>>[] = [];
  return {
    at(start, pattern, create) {
      const group = entries.at(start, () => new Map());
      return valueAt(group, patternKey(pattern), () => ({ pattern, value: create() })).value;
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

const NS = '/ns/';
const SA = '/sa/';

function segmentAt(text: string, start: number): string {
  const end = text.indexOf('/', start);
  return end < 0 ? text.slice(start) : text.slice(start, end);
}

function valueAt<K, T>(values: Map<K, T>, key: K, create: () => T): T {
  const found = values.get(key);
  if (found !== undefined) return found;
  const created = create();
  values.set(key, created);
  return created;
}

/** Most indexes hold patterns of one kind only; what they do not hold is never walked. */
function lazy<S>(create: () => S): { made: S | undefined; readonly make: () => S } {
  return {
    made: undefined,
    make() {
      this.made ??= create();
      return this.made;
    },
  };
}
