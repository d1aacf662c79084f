import { type AddressIndex, createAddressIndex } from './address-index.ts';
import { type Facts, factHashes, factText } from './facts.ts';
import type { Field, Pattern } from './ir.ts';
import type { NumberList } from './number-list.ts';
import { textMatches } from './pattern.ts';
import { PrefixTable } from './prefix-table.ts';
import { templateStart } from './template.ts';
import { createSuffixTrie, createTrie, type SuffixTrie } from './trie.ts';

/**
 * Numbers under the patterns of one field. `collect` finds the numbers of all patterns that match in
 * time that grows with the length of the field's value, not with how many patterns there are.
 */
export type PatternIndex = {
  /** The number under a pattern, made by `create` where there is none. */
  readonly at: (pattern: Pattern, create: () => number) => number;
  /** Appends the numbers of all patterns that match, some perhaps twice. */
  readonly collect: (facts: Facts, out: NumberList) => void;
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
export function createPatternIndex(field: Field): PatternIndex {
  if (field === 'port') return portIndex();
  if (field === 'ip') return blockIndex();
  if (field === 'namespace') return namespaceIndex();
  if (field === 'serviceAccount') return accountIndex();
  return new TextIndex(field);
}

function portIndex(): PatternIndex {
  const values = new Map<number, number>();
  return {
    at: (pattern, create) => valueAt(values, pattern.kind === 'port' ? pattern.port : -1, create),
    collect(facts, out) {
      const value = values.get(facts.port);
      if (value !== undefined) out.push(value);
    },
  };
}

function blockIndex(): PatternIndex {
  const values: AddressIndex = createAddressIndex();
  return {
    at: (pattern, create) => {
      if (pattern.kind !== 'block') throw new Error('an address pattern is a block');
      return values.at(pattern.block, create);
    },
    collect: (facts, out) => values.collect(facts.address, out),
  };
}

class TextIndex implements PatternIndex {
  readonly #field: Field;
  readonly #texts: PrefixTable = new PrefixTable();
  #hasTexts = false;
  #named: Map<string, number> | undefined;
  #suffixes: SuffixTrie<number> | undefined;
  #suffixSkip = 0;
  #templates: Guarded | undefined;
  #present: number | undefined;
  #presentEmpty = false;

  constructor(field: Field) {
    this.#field = field;
  }

  at(pattern: Pattern, create: () => number): number {
    switch (pattern.kind) {
      case 'exact':
        return this.#exactAt(pattern.value, create);
      case 'prefix':
        this.#hasTexts = true;
        return this.#texts.prefixAt(pattern.value, create);
      case 'suffix':
        // Every suffix pattern of a field skips the same: the scheme of identities, or nothing.
        this.#suffixSkip = pattern.skip;
        this.#suffixes ??= createSuffixTrie();
        return this.#suffixes.at(pattern.value, create);
      case 'present':
        this.#presentEmpty = pattern.empty;
        return (this.#present ??= create());
      case 'template':
        this.#templates ??= createGuarded();
        return this.#templates.at(templateStart(pattern.template), pattern, create);
      default:
        throw new Error(`a ${pattern.kind} pattern does not match text`);
    }
  }

  collect(facts: Facts, out: NumberList): void {
    const text = factText(this.#field, facts);
    if (text === undefined) return;
    if (this.#named !== undefined) {
      const value = this.#named.get(text);
      if (value !== undefined) out.push(value);
    }
    if (this.#hasTexts) this.#texts.collect(text, factHashes(this.#field, facts), out);
    if (this.#present !== undefined && (this.#presentEmpty || text !== '')) out.push(this.#present);
    this.#suffixes?.collect(text, this.#suffixSkip, out);
    this.#templates?.collect(text, 0, out);
  }

  /** Identities and methods are long-lived strings that V8 has hashed already; others come anew each time. */
  #exactAt(text: string, create: () => number): number {
    if (this.#field === 'path' || this.#field === 'host') {
      this.#hasTexts = true;
      return this.#texts.exactAt(text, create);
    }
    this.#named ??= new Map();
    return valueAt(this.#named, text, create);
  }
}

/** Namespaces: the segment after each `/ns/`, by itself or as the start of a wildcard. */
function namespaceIndex(): PatternIndex {
  const segments = new Map<string, number>();
  const wild = createGuarded();
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
function accountIndex(): PatternIndex {
  const entries = new Map<string, Entry>();
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

type Entry = { readonly pattern: Pattern; readonly value: number };

/** Patterns that need a check of their own, found by the literal text they start with. */
type Guarded = {
  readonly at: (start: string, pattern: Pattern, create: () => number) => number;
  readonly collect: (text: string, start: number, out: NumberList) => void;
};

function createGuarded(): Guarded {
  const entries = createTrie<Map<string, Entry>>();
  const found: Map<string, Entry>[] = [];
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

function valueAt<K, V>(values: Map<K, V>, key: K, create: () => V): V {
  const found = values.get(key);
  if (found !== undefined) return found;
  const created = create();
  values.set(key, created);
  return created;
}
