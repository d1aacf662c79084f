/**
 * A radix tree from texts to values that finds every entry a given text begins with (or ends in)
 * while walking that text once, however many entries there are.
 */
export type Trie<T> = {
  /** The value at `key`, made by `create` where there is none. */
  readonly at: (key: string, create: () => T) => T;
  /** Appends to `out` the values of all entries that are a prefix of `text.slice(start)`. */
  readonly collect: (text: string, start: number, out: Sink<T>) => void;
};

/** Where finds go: a list of any kind. */
export type Sink<T> = { readonly push: (value: T) => void };

/** As `Trie`, for suffixes of the text that keep clear of its first `skip` characters. */
export type SuffixTrie<T> = {
  readonly at: (key: string, create: () => T) => T;
  readonly collect: (text: string, skip: number, out: Sink<T>) => void;
};

type TrieNode<T> = {
  label: string;
  value: T | undefined;
  next: Map<number, TrieNode<T>> | undefined;
};

/** An empty trie over prefixes. */
export function createTrie<T>(): Trie<T> {
  const root = node<T>('');
  return {
    at: (key, create) => {
      const found = insert(root, key);
      return (found.value ??= create());
    },
    collect: (text, start, out) => collectPrefixes(root, text, start, out),
  };
}

/** An empty trie over suffixes: keys are stored backwards, and texts are read backwards in place. */
export function createSuffixTrie<T>(): SuffixTrie<T> {
  const root = node<T>('');
  return {
    at: (key, create) => {
      const found = insert(root, reversed(key));
      return (found.value ??= create());
    },
    collect: (text, skip, out) => collectSuffixes(root, text, skip, out),
  };
}

function node<T>(label: string): TrieNode<T> {
  return { label, value: undefined, next: undefined };
}

function insert<T>(root: TrieNode<T>, key: string): TrieNode<T> {
  let at = root;
  let rest = key;
  while (rest !== '') {
    at.next ??= new Map();
    const child = at.next.get(rest.charCodeAt(0));
    if (child === undefined) {
      const leaf = node<T>(rest);
      at.next.set(rest.charCodeAt(0), leaf);
      return leaf;
    }
    const shared = sharedLength(child.label, rest);
    at = shared === child.label.length ? child : split(at.next, child, shared);
    rest = rest.slice(shared);
  }
  return at;
}

function split<T>(siblings: Map<number, TrieNode<T>>, child: TrieNode<T>, at: number): TrieNode<T> {
  const upper = node<T>(child.label.slice(0, at));
  siblings.set(child.label.charCodeAt(0), upper);
  child.label = child.label.slice(at);
  upper.next = new Map([[child.label.charCodeAt(0), child]]);
  return upper;
}

function sharedLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

function collectPrefixes<T>(root: TrieNode<T>, text: string, start: number, out: Sink<T>): void {
  let at = root;
  let from = start;
  for (;;) {
    if (at.value !== undefined) out.push(at.value);
    if (from >= text.length) return;
    const child = at.next?.get(text.charCodeAt(from));
    if (child === undefined || !text.startsWith(child.label, from)) return;
    from += child.label.length;
    at = child;
  }
}

function collectSuffixes<T>(root: TrieNode<T>, text: string, skip: number, out: Sink<T>): void {
  let at = root;
  let end = text.length;
  for (;;) {
    if (at.value !== undefined && end >= skip) out.push(at.value);
    if (end <= skip) return;
    const child = at.next?.get(text.charCodeAt(end - 1));
    if (child === undefined || !endsReversed(text, end, child.label)) return;
    end -= child.label.length;
    at = child;
  }
}

function endsReversed(text: string, end: number, label: string): boolean {
  if (label.length > end) return false;
  for (let i = 0; i < label.length; i++) {
    if (text.charCodeAt(end - 1 - i) !== label.charCodeAt(i)) return false;
  }
  return true;
}

function reversed(text: string): string {
  let out = '';
  for (let i = text.length - 1; i >= 0; i--) out += text.charAt(i);
  return out;
}
