import { type Block, type Shape, type ShapeField, widthOf } from './block.ts';
import { type Condition, compare, type FieldCondition, holdsText, meets } from './filter.ts';
import type { FieldKind } from './row.ts';

/** What is asked of a block's records; times in ms. */
export type BlockQuery = {
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly where: readonly Condition[];
};

/** Which places of a block to look at, and in which order. */
export type Places = {
  /** The first place looked at, and how many matches are enough. */
  readonly from: number;
  readonly ascending: boolean;
  readonly limit: number;
};

/** Says of the record at a place whether it meets what its shape leaves open. */
type RowTest = (at: number) => boolean;

/** The places of records that match, in the order asked for. */
export function matchBlock(block: Block, query: BlockQuery, places: Places): readonly number[] {
  const conditions = query.where.map((condition) => testsOf(block, condition));
  const tests = block.shapes.map((shape) => shapeTest(shape, conditions));
  if (tests.every((test) => test === undefined)) return [];
  const times = timeTest(block, query);
  const found: number[] = [];
  const step = places.ascending ? 1 : -1;
  for (let at = places.from; at >= 0 && at < block.count; at += step) {
    const test = tests[block.shapeAt(at)];
    if (test === undefined || !times(at) || !test.every((holds) => holds(at))) continue;
    found.push(at);
    if (found.length >= places.limit) break;
  }
  return found;
}

function timeTest(block: Block, { sinceMs, untilMs }: BlockQuery): RowTest {
  const times = block.numbers('time', 'time');
  if (times === undefined || (sinceMs === undefined && untilMs === undefined)) return () => true;
  return (at) => {
    const ms = times[at] ?? 0;
    return (sinceMs === undefined || ms >= sinceMs) && (untilMs === undefined || ms < untilMs);
  };
}

/** What one condition says of a shape: of all its records, or what to ask of each. */
type ShapeTest = (shape: Shape) => boolean | RowTest;

/** What is left to ask of each record of a shape; undefined: none of them matches. */
function shapeTest(shape: Shape, conditions: readonly ShapeTest[]): readonly RowTest[] | undefined {
  const tests: RowTest[] = [];
  for (const condition of conditions) {
    const said = condition(shape);
    if (said === false) return undefined;
    if (said !== true) tests.push(said);
  }
  return tests;
}

function testsOf(block: Block, condition: Condition): ShapeTest {
  if (condition.kind === 'text') return textTests(block, condition.text.toLowerCase());
  if (condition.kind !== 'field')
    return (shape) => meets(condition, (name) => literalOf(shape, name));
  const test = byColumn((field) => columnTest(block, field, condition));
  return (shape) => {
    const field = fieldOf(shape, condition.field);
    if (field === undefined || field[1] === 'literal') return compare(field?.[2], condition);
    return test(field);
  };
}

// A loop over some forty names costs less than making a map of them for each of hundreds of shapes.
function fieldOf(shape: Shape, name: string): ShapeField | undefined {
  for (const field of shape) if (field[0] === name) return field;
  return undefined;
}

function literalOf(shape: Shape, name: string): unknown {
  return fieldOf(shape, name)?.[2];
}

/** Makes each column's test once, whatever number of shapes has it. */
function byColumn<T>(make: (field: ShapeField) => T): (field: ShapeField) => T {
  const known = new Map<string, T>();
  return (field) => {
    // What is numbered has a beginning of its own.
    const key = field[1] === 'numbered' ? field.join(' ') : `${field[1]} ${field[0]}`;
    let test = known.get(key);
    if (test === undefined) known.set(key, (test = make(field)));
    return test;
  };
}

function columnTest(block: Block, field: ShapeField, condition: FieldCondition): RowTest {
  const [name, kind] = field;
  if (condition.operator === 'eq' && (kind === 'hex8' || kind === 'hex16')) {
    return digestTest(block.bytes(name, kind), String(condition.value), widthOf(kind));
  }
  const texts = kind === 'text' ? block.texts(name) : undefined;
  if (texts === undefined) return (at) => compare(block.value(field, at), condition);
  const known = memo(texts.distinct, (text) => compare(text, condition));
  return (at) => known(texts.indexes[at] ?? 0);
}

/** As bytes: writing each record's id in hex only to compare it would cost more than all else. */
function digestTest(bytes: Buffer | undefined, text: string, width: number): RowTest {
  const wanted = Buffer.from(text, 'hex');
  if (bytes === undefined || wanted.toString('hex') !== text || wanted.length !== width)
    return () => false;
  return (at) => bytes.compare(wanted, 0, width, at * width, (at + 1) * width) === 0;
}

/** Text anywhere in a record; what a column cannot hold is not looked for in its values. */
function textTests(block: Block, text: string): ShapeTest {
  const literals = new Map<ShapeField, boolean>();
  const isLiteral = (field: ShapeField): boolean => {
    let holds = literals.get(field);
    if (holds === undefined) literals.set(field, (holds = holdsText(field[2], text)));
    return holds;
  };
  const test = byColumn((field) => textTest(block, field, text));
  return (shape) => {
    const tests: RowTest[] = [];
    for (const field of shape) {
      if (field[1] !== 'literal') {
        const holds = test(field);
        if (holds !== false) tests.push(holds);
      } else if (isLiteral(field)) return true;
    }
    return tests.length > 0 && ((at) => tests.some((holds) => holds(at)));
  };
}

/** What values of a kind are written with: a text of anything else is in none of them. */
const ALPHABETS: Readonly<Partial<Record<FieldKind, RegExp>>> = {
  time: /^[0-9tz:.-]*$/,
  count: /^[0-9]*$/,
  serial: /^[0-9]*$/,
  hex8: /^[0-9a-f]*$/,
  hex16: /^[0-9a-f]*$/,
};

function textTest(block: Block, field: ShapeField, text: string): RowTest | false {
  const [name, kind] = field;
  if (ALPHABETS[kind]?.test(text) === false) return false;
  // What ends with anything but a digit cannot reach into the number at the end.
  if (kind === 'numbered' && !/[0-9]$/.test(text)) {
    const holds = holdsText(field[2], text);
    return holds && (() => true);
  }
  if (kind === 'text' && !block.mayHoldText(name, text)) return false;
  const texts = kind === 'text' ? block.texts(name) : undefined;
  if (texts === undefined) return (at) => holdsText(block.value(field, at), text);
  const known = memo(texts.distinct, (value) => holdsText(value, text));
  return (at) => known(texts.indexes[at] ?? 0);
}

/** Asks once for each distinct value. */
function memo(
  distinct: readonly string[],
  ask: (text: string) => boolean,
): (index: number) => boolean {
  const known = new Int8Array(distinct.length);
  return (index) => {
    if (known[index] === 0) known[index] = ask(distinct[index] ?? '') ? 1 : -1;
    return known[index] === 1;
  };
}
