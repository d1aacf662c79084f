import type { Problem, Range, Report } from './diagnostic.ts';
import { nearest } from './nearest.ts';
import { headOf, type MapNode, type Node, type ScalarNode } from './node.ts';

/** What readers know of the resource they read a part of. */
export type Context = {
  readonly report: Report;
  /** The resource's own. */
  readonly namespace: string;
  readonly name: string;
  /** The mesh's trust domain where the caller knows it. */
  readonly trustDomain: string | undefined;
};

/**
 * Reads a node. Every problem goes to the report; the result is undefined where nothing could be
 * read, and counts only if the report holds no error at the end.
 */
export type Reader<T> = (node: Node, context: Context) => T | undefined;

/** One field of an object and what its absence means. */
export type Field<T> = {
  readonly read: Reader<T>;
  readonly presence: 'required' | 'optional' | 'unsupported';
  readonly help: string;
  readonly fallback?: (context: Context) => T;
};

type OptionalField<T> = Field<T> & { readonly presence: 'optional' | 'unsupported' };
type Fields = Readonly<Record<string, Field<unknown>>>;
type ValueOf<F> = F extends Field<infer T> ? T : never;
type OptionalKey<F extends Fields> = {
  [K in keyof F]: F[K] extends OptionalField<unknown> ? K : never;
}[keyof F];
type UnsupportedKey<F extends Fields> = {
  [K in keyof F]: [ValueOf<F[K]>] extends [never] ? K : never;
}[keyof F];

/** The value an object's fields make. */
export type ObjectOf<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalKey<F> | UnsupportedKey<F>>]: ValueOf<F[K]>;
} & {
  readonly [K in Exclude<OptionalKey<F>, UnsupportedKey<F>>]?: ValueOf<F[K]>;
};

/** A field that must be there; `help` says what to write. */
export function required<T>(read: Reader<T>, help: string): Field<T> & { presence: 'required' } {
  return { read, presence: 'required', help };
}

/** A field that may be absent, and then is absent from the value. */
export function optional<T>(read: Reader<T>): Field<T> & { presence: 'optional' } {
  return { read, presence: 'optional', help: '' };
}

/** A field whose absence means the fallback. */
export function defaulted<T>(
  read: Reader<T>,
  fallback: (context: Context) => T,
): Field<T> & { presence: 'required' } {
  return { read, presence: 'required', help: '', fallback };
}

/** A known field that this version cannot enforce: an error, because ignoring it could allow. */
export function unsupported(help: string): Field<never> & { presence: 'unsupported' } {
  return { read: () => undefined, presence: 'unsupported', help };
}

/** Reads a mapping with exactly these fields; `refine` sees what could be read, to check it as a whole. */
export function object<F extends Fields>(
  what: string,
  fields: F,
  refine?: (value: Partial<ObjectOf<F>>, node: MapNode, context: Context) => void,
): Reader<ObjectOf<F>> {
  return (node, context) => {
    if (node.kind !== 'map') {
      wrongType(node, context, `a mapping for ${what}`);
      return undefined;
    }
    const value = readFields({ what, fields, node, context });
    refine?.(value as Partial<ObjectOf<F>>, node, context);
    return value as ObjectOf<F>;
  };
}

/** Reads a list of at least one item; an empty one is an error because it would mean no condition. */
export function listOf<T>(
  read: Reader<T>,
  options: { readonly maxItems?: number; readonly mayBeEmpty?: boolean } = {},
): Reader<readonly T[]> {
  const { maxItems = 10_000, mayBeEmpty = false } = options;
  return (node, context) => {
    if (node.kind !== 'list') {
      wrongType(node, context, 'a list');
      return undefined;
    }
    if (node.items.length === 0 && !mayBeEmpty) context.report.error(node.range, EMPTY_LIST);
    if (node.items.length > maxItems)
      context.report.error(headOf(node), tooManyItems(node.items.length, maxItems));
    return node.items.slice(0, maxItems).flatMap((item) => read(item, context) ?? []);
  };
}

/** Reads a mapping with free keys. */
export function recordOf<T>(
  readKey: (key: string, at: Range, context: Context) => void,
  read: Reader<T>,
  maxEntries = 256,
): Reader<Readonly<Record<string, T>>> {
  return (node, context) => {
    if (node.kind !== 'map') {
      wrongType(node, context, 'a mapping');
      return undefined;
    }
    if (node.entries.length > maxEntries) {
      context.report.error(headOf(node), tooManyItems(node.entries.length, maxEntries));
    }
    const pairs: [string, T][] = [];
    for (const { key, keyRange, value } of node.entries.slice(0, maxEntries)) {
      readKey(key, keyRange, context);
      const item = read(value, context);
      if (item !== undefined) pairs.push([key, item]);
    }
    return Object.fromEntries(pairs);
  };
}

/** Reads text; `check` names what is wrong with it or warns by itself. */
export function text(
  check: (value: string, node: ScalarNode, context: Context) => Problem | undefined = () =>
    undefined,
): Reader<string> {
  return (node, context) => {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') {
      wrongType(node, context, 'text');
      return undefined;
    }
    if (node.value === '') {
      context.report.error(node.range, {
        code: 'empty_value',
        message: 'the text is empty',
        help: 'write a value, or remove the entry',
      });
      return undefined;
    }
    const problem = check(node.value, node, context);
    if (problem !== undefined) context.report.error(node.range, problem);
    return node.value;
  };
}

/** Reads one of a few words. */
export function oneOf<const T extends string>(
  words: readonly T[],
  explain: (word: string) => Problem | undefined = () => undefined,
): Reader<T> {
  return text((value) => {
    if ((words as readonly string[]).includes(value)) return undefined;
    const list = words.map((word) => `\`${word}\``).join(', ');
    const guess = words.length === 1 ? undefined : nearest(value, words);
    return (
      explain(value) ?? {
        code: 'bad_value',
        message: `${quote(value)} is ${words.length === 1 ? 'not' : 'none of'} ${list}`,
        help:
          guess === undefined
            ? `write ${words.length === 1 ? '' : 'one of '}${list}`
            : `did you mean \`${guess}\`?`,
      }
    );
  }) as Reader<T>;
}

/** Reads `true` or `false`. */
export const boolean: Reader<boolean> = (node, context) => {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
  wrongType(node, context, 'true or false');
  return undefined;
};

/** Reads a whole number between two bounds. */
export function integer(min: number, max: number): Reader<number> {
  return (node, context) => {
    if (node.kind !== 'scalar' || typeof node.value !== 'number') {
      wrongType(node, context, 'a number');
      return undefined;
    }
    if (Number.isInteger(node.value) && node.value >= min && node.value <= max) return node.value;
    context.report.error(node.range, {
      code: 'bad_value',
      message: `${quote(node.source)} is not a whole number from ${min} to ${max}`,
      help: `write a number from ${min} to ${max}`,
    });
    return undefined;
  };
}

/** Reads true or false. */
export const flag: Reader<boolean> = (node, context) => {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
  wrongType(node, context, 'true or false');
  return undefined;
};

/** An authored value made fit for a message: in backticks, shortened, without control characters. */
export function quote(value: string): string {
  const short = value.length > 60 ? `${value.slice(0, 57)}...` : value;
  const visible = JSON.stringify(short).replaceAll(
    // What takes no room would leave two different values looking the same.
    /[\p{Cf}\p{Zl}\p{Zp}]/gu,
    (letter) => `\\u${(letter.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
  return `\`${visible.slice(1, -1).replaceAll('\\"', '"').replaceAll('`', "'")}\``;
}

const EMPTY_LIST: Problem = {
  code: 'empty_value',
  message: 'the list is empty',
  help: 'write at least one item, or remove the field: in a policy an empty list would mean no condition',
};

function tooManyItems(count: number, most: number): Problem {
  return {
    code: 'too_many',
    message: `${count} entries, at most ${most} are allowed`,
    help: 'split the resource into several',
  };
}

function readFields(options: {
  readonly what: string;
  readonly fields: Fields;
  readonly node: MapNode;
  readonly context: Context;
}): Record<string, unknown> {
  const { what, fields, node, context } = options;
  const read = new Map<string, unknown>();
  const seen = new Set<string>();
  for (const { key, keyRange, value: item } of node.entries) {
    seen.add(key);
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (field === undefined) context.report.error(keyRange, unknownField(key, what, fields));
    else if (field.presence === 'unsupported') {
      context.report.error(keyRange, notSupported(key, field));
    } else if (item.kind === 'scalar' && item.value === null) {
      context.report.error(keyRange, noValue(key));
    } else read.set(key, field.read(item, context));
  }
  // The value's fields are in the schema's order, whatever the order in which they were written.
  const value: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(fields)) {
    const item = seen.has(key) ? read.get(key) : field.fallback?.(context);
    if (item !== undefined) value[key] = item;
    else if (!seen.has(key) && field.presence === 'required') {
      context.report.error(headOf(node), missing(key, what, field));
    }
  }
  return value;
}

function unknownField(key: string, what: string, fields: Fields): Problem {
  const known = Object.entries(fields).flatMap(([name, field]) =>
    field.presence === 'unsupported' ? [] : [name],
  );
  const guess = nearest(key, known);
  const fromCluster = [
    'status',
    'uid',
    'resourceVersion',
    'generation',
    'creationTimestamp',
    'managedFields',
  ];
  let help = `the fields of ${what} are ${known.map((name) => `\`${name}\``).join(', ')}`;
  if (guess !== undefined) help = `did you mean \`${guess}\`?`;
  else if (fromCluster.includes(key)) help = 'a cluster writes this field by itself: remove it';
  else if (key === '<<') help = 'merge keys are not part of YAML 1.2: write the fields out';
  return { code: 'unknown_field', message: `unknown field ${quote(key)} in ${what}`, help };
}

function notSupported(key: string, field: Field<unknown>): Problem {
  return {
    code: 'unsupported',
    message: `\`${key}\` is not supported by this version`,
    help: field.help,
  };
}

function noValue(key: string): Problem {
  return {
    code: 'empty_value',
    message: `\`${key}\` has no value`,
    help: `write a value, or remove \`${key}\``,
  };
}

function missing(key: string, what: string, field: Field<unknown>): Problem {
  return { code: 'missing_field', message: `${what} lacks the field \`${key}\``, help: field.help };
}

function wrongType(node: Node, context: Context, wanted: string): void {
  const scalar = node.kind === 'scalar' && node.value !== null ? node : undefined;
  let help = `write ${wanted} here`;
  if (wanted === 'text' && scalar !== undefined)
    help = `put it in quotes: "${scalar.source.slice(0, 60)}"`;
  if (wanted === 'a list' && scalar !== undefined)
    help = `write a list: [${scalar.source.slice(0, 60)}]`;
  if (wanted === 'a number' && scalar !== undefined && /^\d+$/.test(scalar.source))
    help = 'remove the quotes';
  context.report.error(headOf(node), {
    code: 'wrong_type',
    message: `expected ${wanted}, found ${describe(node)}`,
    help,
  });
}

function describe(node: Node): string {
  if (node.kind === 'map') return 'a mapping';
  if (node.kind === 'list') return 'a list';
  if (node.value === null) return 'nothing';
  if (typeof node.value === 'string') return `the text ${quote(node.value)}`;
  return `the ${typeof node.value} ${quote(node.source)}`;
}
