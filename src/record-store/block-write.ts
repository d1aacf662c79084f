import { crc32 } from 'node:zlib';
import {
  type Block,
  type EncodedBlock,
  type Head,
  SHAPE_COLUMN,
  type Shape,
  type ShapeField,
  widthOf,
} from './block.ts';
import { encodeDeltas, encodeNumbers, encodeTexts, packSection, plainSection } from './columns.ts';
import { type FieldKind, fieldKind, isLiteralField, type Row } from './row.ts';

/** Writes rows as one block; `passing`: it is joined with others soon, so that compressing it is not worth the while. */
export function encodeBlock(rows: readonly Row[], passing = false): EncodedBlock {
  const root = createBranch();
  const columns: ColumnBuilder[] = [];
  const shapes: Shape[] = [];
  const count = rows.length;
  const shapeOf = rows.map((row, at) => {
    const leaf = walk(root, row, { at, count, columns });
    if (leaf.index < 0) {
      leaf.index = shapes.length;
      shapes.push(shapeOfRow(row));
    }
    return leaf.index;
  });
  const written = columns.map(({ name, kind, values }) => ({
    name,
    kind,
    bytes: encodeColumn(kind, values),
  }));
  return assemble({ count, shapes, shapeOf, columns: written, passing });
}

/** Writes blocks that follow one another as one; their records are not even read. */
export function joinBlocks(blocks: readonly Block[]): EncodedBlock {
  const count = blocks.reduce((sum, block) => sum + block.count, 0);
  const known = new Map<string, number>();
  const shapes: Shape[] = [];
  const shapeOf: number[] = [];
  for (const block of blocks) {
    const places = block.shapes.map((shape) => {
      const key = JSON.stringify(shape);
      const place = known.get(key) ?? shapes.length;
      if (place === shapes.length) {
        known.set(key, place);
        shapes.push(shape);
      }
      return place;
    });
    for (let at = 0; at < block.count; at++) shapeOf.push(places[block.shapeAt(at)] ?? 0);
  }
  const names = new Map(
    blocks.flatMap(({ columns }) => columns.map((column) => [column.join(' '), column] as const)),
  );
  const written = Array.from(names.values(), ([name, kind]) => ({
    name,
    kind,
    bytes: joinColumn(blocks, name, kind),
  }));
  return assemble({ count, shapes, shapeOf, columns: written, passing: false });
}

type WrittenColumn = { readonly name: string; readonly kind: FieldKind; readonly bytes: Buffer };

function assemble({
  count,
  shapes,
  shapeOf,
  columns,
  passing,
}: {
  readonly count: number;
  readonly shapes: readonly Shape[];
  readonly shapeOf: readonly number[];
  readonly columns: readonly WrittenColumn[];
  readonly passing: boolean;
}): EncodedBlock {
  const shape = { name: SHAPE_COLUMN, kind: 'count', bytes: encodeNumbers(shapeOf) } as const;
  let start = 0;
  const parts: Buffer[] = [];
  const places = [shape, ...columns].map(({ name, kind, bytes }) => {
    const packed = passing ? plainSection(bytes) : packSection(bytes);
    const place = [name, kind, start, packed.length] as const;
    parts.push(packed);
    start += packed.length;
    return place;
  });
  const { fields, shapes: written } = numberFields(shapes);
  const said: Head = { fields, shapes: written, columns: places };
  const head = packSection(Buffer.from(JSON.stringify(said)));
  const bytes = Buffer.concat(parts);
  return { count, head, columns: bytes, crc: crc32(bytes, crc32(head)) };
}

/**
 * Each field once, and shapes as the numbers of theirs: a few hundred fields make up hundreds of shapes, which are read
 * again for each question.
 */
function numberFields(shapes: readonly Shape[]): Pick<Head, 'fields' | 'shapes'> {
  const fields: ShapeField[] = [];
  const known = new Map<string, Map<unknown, number>>();
  const placeOf = (field: ShapeField): number => {
    const [name, kind, value] = field;
    const same = `${kind} ${name}`;
    let values = known.get(same);
    if (values === undefined) known.set(same, (values = new Map()));
    // Objects are few, and may lie beside each other more than once.
    let place = values.get(value);
    if (place === undefined) {
      values.set(value, (place = fields.length));
      fields.push(field);
    }
    return place;
  };
  return { shapes: shapes.map((shape) => shape.map(placeOf)), fields };
}

/**
 * Rows that agree in all but their columns end at the same leaf: a step for each field's name, then one for its value
 * or its column. Steps instead of one long text, since making and hashing that cost more than all the rest.
 */
type Branch = {
  readonly next: Map<unknown, Branch>;
  /** The step that was taken last, which mostly is the one to take again: it saves looking for it. */
  key: unknown;
  last: Branch | undefined;
  /** By their JSON. */
  readonly objects: Map<string, Branch>;
  column: ColumnBuilder | undefined;
  index: number;
};

type ColumnBuilder = {
  readonly name: string;
  readonly kind: FieldKind;
  readonly values: (string | number)[];
};

type Building = {
  readonly at: number;
  readonly count: number;
  readonly columns: ColumnBuilder[];
};

function createBranch(): Branch {
  return {
    next: new Map(),
    key: undefined,
    last: undefined,
    objects: new Map(),
    column: undefined,
    index: -1,
  };
}

function step(from: Branch, key: unknown): Branch {
  if (from.last !== undefined && from.key === key) return from.last;
  from.key = key;
  from.last = stepIn(from.next, key);
  return from.last;
}

function stepIn<K>(from: Map<K, Branch>, key: K): Branch {
  let branch = from.get(key);
  if (branch === undefined) from.set(key, (branch = createBranch()));
  return branch;
}

function walk(root: Branch, { node, fields, ms }: Row, building: Building): Branch {
  let branch = step(root, node);
  for (const name in fields) {
    const value = fields[name];
    branch = step(branch, name);
    if (value === null || isLiteralField(name)) {
      branch =
        typeof value === 'object' && value !== null
          ? stepIn(branch.objects, JSON.stringify(value))
          : step(branch, value);
      continue;
    }
    if (name === 'id' && isNumbered(value, fields['seq'])) {
      branch = step(branch, `-${prefixOf(value)}`);
      continue;
    }
    const kind = fieldKind(name, value);
    branch = step(branch, kind);
    branch.column ??= columnFor(building, name, kind);
    branch.column.values[building.at] = kind === 'time' ? ms : columnValue(kind, value);
  }
  return branch;
}

function columnFor({ columns, count }: Building, name: string, kind: FieldKind): ColumnBuilder {
  const known = columns.find((column) => column.name === name && column.kind === kind);
  if (known !== undefined) return known;
  const none = kind === 'time' || kind === 'count' || kind === 'serial' ? 0 : '';
  const made = { name, kind, values: Array.from<string | number>({ length: count }).fill(none) };
  columns.push(made);
  return made;
}

function shapeOfRow({ node, fields }: Row): Shape {
  const shape: ShapeField[] = [['node', 'literal', node]];
  for (const name in fields) {
    const value = fields[name];
    if (name === 'id' && isNumbered(value, fields['seq'])) {
      shape.push([name, 'numbered', prefixOf(value)]);
      continue;
    }
    const kind = fieldKind(name, value);
    shape.push(kind === 'literal' ? [name, kind, value] : [name, kind]);
  }
  return shape;
}

function isNumbered(id: unknown, seq: unknown): id is string {
  return typeof id === 'string' && Number.isSafeInteger(seq) && id.endsWith(`-${String(seq)}`);
}

function prefixOf(id: string): string {
  return id.slice(0, id.lastIndexOf('-') + 1);
}

function columnValue(kind: FieldKind, value: unknown): string | number {
  if (kind === 'json') return JSON.stringify(value);
  return value as string | number;
}

function encodeColumn(kind: FieldKind, values: readonly (string | number)[]): Buffer {
  if (kind === 'time' || kind === 'serial') return encodeDeltas(values as readonly number[]);
  if (kind === 'count') return encodeNumbers(values as readonly number[]);
  if (kind !== 'hex8' && kind !== 'hex16') return encodeTexts(values as readonly string[]);
  const width = widthOf(kind);
  const bytes = Buffer.alloc(width * values.length);
  for (const [i, value] of values.entries()) bytes.write(value as string, i * width, 'hex');
  return bytes;
}

/** One column of all blocks; a block without it has nothing to say there, which takes a default's room. */
function joinColumn(blocks: readonly Block[], name: string, kind: FieldKind): Buffer {
  if (kind === 'hex8' || kind === 'hex16') {
    const width = widthOf(kind);
    return Buffer.concat(
      blocks.map((block) => block.bytes(name, kind) ?? Buffer.alloc(width * block.count)),
    );
  }
  const values: (string | number)[] = [];
  for (const block of blocks) {
    const numbers = block.numbers(name, kind);
    const texts = block.texts(name, kind);
    for (let at = 0; at < block.count; at++) {
      if (texts === undefined)
        values.push(numbers?.[at] ?? (kind === 'text' || kind === 'json' ? '' : 0));
      else values.push(texts.distinct[texts.indexes[at] ?? 0] ?? '');
    }
  }
  return encodeColumn(kind, values);
}
