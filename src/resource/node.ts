import type { Range } from './diagnostic.ts';

/** The deepest nesting a resource may have; Istio's deepest is ten. */
export const MAX_DEPTH = 32;

/**
 * A value on its way to becoming a resource, from YAML (with its place in the text) or from stored
 * JSON (where every range is empty). Both are read by the same schema.
 */
export type Node = MapNode | ListNode | ScalarNode;

/** A mapping; keys are unique and in authored order. */
export type MapNode = {
  readonly kind: 'map';
  readonly entries: readonly Entry[];
  readonly range: Range;
};

/** One key of a mapping with its value. */
export type Entry = { readonly key: string; readonly keyRange: Range; readonly value: Node };

/** A list. */
type ListNode = {
  readonly kind: 'list';
  readonly items: readonly Node[];
  readonly range: Range;
};

/** A leaf; `source` is how it was written. */
export type ScalarNode = {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  readonly source: string;
  readonly range: Range;
};

const NOWHERE: Range = [0, 0];

/**
 * The node of a JSON value, or undefined for what JSON cannot hold and for values nested deeper
 * than `maxDepth`.
 */
export function nodeFromJson(value: unknown, maxDepth: number): Node | undefined {
  if (maxDepth < 0) return undefined;
  if (Array.isArray(value)) {
    const items = value.map((item) => nodeFromJson(item, maxDepth - 1));
    if (items.includes(undefined)) return undefined;
    return { kind: 'list', items: items as readonly Node[], range: NOWHERE };
  }
  if (typeof value === 'object' && value !== null) return mapFromJson(value, maxDepth);
  if (value !== null && !['string', 'number', 'boolean'].includes(typeof value)) return undefined;
  const scalar = value as ScalarNode['value'];
  return { kind: 'scalar', value: scalar, source: String(scalar), range: NOWHERE };
}

/** The value under `key` of a mapping; undefined where there is none. */
export function child(node: Node | undefined, key: string): Node | undefined {
  return entry(node, key)?.value;
}

/** The entry with `key` of a mapping; undefined where there is none. */
export function entry(node: Node | undefined, key: string): Entry | undefined {
  return node?.kind === 'map' ? node.entries.find((entry) => entry.key === key) : undefined;
}

/** The items of a list, none if the node is absent or something else. */
export function items(node: Node | undefined): readonly Node[] {
  return node?.kind === 'list' ? node.items : [];
}

/**
 * The stretch of text to show for the value at `path`: a leaf itself, else the key that leads to
 * it, else what is nearest above it.
 */
export function locate(root: Node, path: readonly (string | number)[]): Range {
  let node: Node = root;
  let at = headOf(root);
  for (const step of path) {
    if (typeof step === 'number') {
      const next = node.kind === 'list' ? node.items[step] : undefined;
      if (next === undefined) return at;
      at = headOf(next);
      node = next;
    } else {
      const next = entry(node, step);
      if (next === undefined) return at;
      at = next.value.kind === 'scalar' ? next.value.range : next.keyRange;
      node = next.value;
    }
  }
  return at;
}

/** Where a node begins, short enough to be underlined: a mapping's first key, a list's first item. */
export function headOf(node: Node): Range {
  if (node.kind === 'map') return node.entries[0]?.keyRange ?? node.range;
  if (node.kind === 'list') return node.items[0] === undefined ? node.range : headOf(node.items[0]);
  return node.range;
}

function mapFromJson(value: object, maxDepth: number): Node | undefined {
  const entries: Entry[] = [];
  for (const [key, item] of Object.entries(value)) {
    const node = nodeFromJson(item, maxDepth - 1);
    if (node === undefined) return undefined;
    entries.push({ key, keyRange: NOWHERE, value: node });
  }
  return { kind: 'map', entries, range: NOWHERE };
}
