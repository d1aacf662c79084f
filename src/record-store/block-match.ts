import { type Block, type Shape, type ShapeField, widthOf } from './block.ts';
import { type Condition, compare, type FieldCondition, holdsText, meets } from './filter.ts';

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
  const tests = block.shapes.map((shape) => shapeTest(block, shape, query.where));
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

/** What is left to ask of each record of a shape; undefined: none of them matches. */
function shapeTest(
  block: Block,
  shape: Shape,
  where: readonly Condition[],
): readonly RowTest[] | undefined {
  const fields = new Map(shape.map((field) => [field[0], field]));
  const tests: RowTest[] = [];
  for (const condition of where) {
    if (condition.kind === 'text') {
      const text = condition.text.toLowerCase();
      if (shape.some(([, kind, value]) => kind === 'literal' && holdsText(value, text))) continue;
      tests.push(textTest(block, shape, text));
      continue;
    }
    const field = condition.kind === 'field' ? fields.get(condition.field) : undefined;
    if (condition.kind === 'field' && field !== undefined && field[1] !== 'literal') {
      tests.push(columnTest(block, field, condition));
      continue;
    }
    if (!meets(condition, (name) => fields.get(name)?.[2])) return undefined;
  }
  return tests;
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

function textTest(block: Block, shape: Shape, text: string): RowTest {
  const tests = shape
    .filter(([, kind]) => kind !== 'literal')
    .map((field): RowTest => {
      const texts = field[1] === 'text' ? block.texts(field[0]) : undefined;
      if (texts === undefined) return (at) => holdsText(block.value(field, at), text);
      const known = memo(texts.distinct, (value) => holdsText(value, text));
      return (at) => known(texts.indexes[at] ?? 0);
    });
  return (at) => tests.some((holds) => holds(at));
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
