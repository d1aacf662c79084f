import { crc32 } from 'node:zlib';
import {
  decodeDeltas,
  decodeNumbers,
  decodeTexts,
  encodeDeltas,
  encodeNumbers,
  encodeTexts,
  packSection,
  type Texts,
  unpackSection,
} from './columns.ts';
import { type FieldKind, fieldKind, type Row } from './row.ts';

/**
 * A block: records that arrived one after the other, by columns. What records have alike is a shape, written once and
 * named by a number; the rest is a column for each field and kind. A block needs nothing but itself to be read, so
 * that damage to one costs no other.
 */
export type EncodedBlock = {
  readonly count: number;
  /** JSON, compressed: shapes, and where the columns are. */
  readonly head: Buffer;
  readonly columns: Buffer;
  readonly crc: number;
};

/** One field of a shape; a literal has its value, all others are read from the column of that name and kind. */
export type ShapeField = readonly [name: string, kind: FieldKind, value?: unknown];
export type Shape = readonly ShapeField[];

type ColumnPlace = readonly [name: string, kind: FieldKind, start: number, length: number];
type Head = { readonly shapes: readonly Shape[]; readonly columns: readonly ColumnPlace[] };

const SHAPE_COLUMN = '';

/** Writes rows as one block. */
export function encodeBlock(rows: readonly Row[]): EncodedBlock {
  const shapes = new Map<string, { readonly index: number; readonly shape: Shape }>();
  const columns = new Map<string, ColumnBuilder>();
  const shapeOf = rows.map((row, at) => {
    const { key, shape } = takeRow(row, { at, count: rows.length, columns });
    let known = shapes.get(key);
    if (known === undefined) shapes.set(key, (known = { index: shapes.size, shape }));
    return known.index;
  });
  const parts: Buffer[] = [];
  const places: ColumnPlace[] = [];
  let start = 0;
  const put = (name: string, kind: FieldKind, bytes: Buffer): void => {
    const packed = packSection(bytes);
    parts.push(packed);
    places.push([name, kind, start, packed.length]);
    start += packed.length;
  };
  put(SHAPE_COLUMN, 'count', encodeNumbers(shapeOf));
  for (const { name, kind, values } of columns.values())
    put(name, kind, encodeColumn(kind, values));
  const head: Head = { shapes: Array.from(shapes.values(), ({ shape }) => shape), columns: places };
  const written = packSection(Buffer.from(JSON.stringify(head)));
  const bytes = Buffer.concat(parts);
  return { count: rows.length, head: written, columns: bytes, crc: crc32(bytes, crc32(written)) };
}

type ColumnBuilder = {
  readonly name: string;
  readonly kind: FieldKind;
  readonly values: (string | number)[];
};

function takeRow(
  { node, fields }: Row,
  { at, count, columns }: { at: number; count: number; columns: Map<string, ColumnBuilder> },
): { key: string; shape: Shape } {
  let key = `${node}\n`;
  const shape: ShapeField[] = [['node', 'literal', node]];
  for (const name in fields) {
    const value = fields[name];
    if (name === 'id' && isNumbered(value, fields['seq'])) {
      const prefix = value.slice(0, value.lastIndexOf('-') + 1);
      key += `id numbered ${prefix}\n`;
      shape.push([name, 'numbered', prefix]);
      continue;
    }
    const kind = fieldKind(name, value);
    if (kind === 'literal') {
      // A name and a value cannot be taken for others: JSON ends where it ends.
      key += `${name}=${typeof value === 'object' ? JSON.stringify(value) : `${typeof value}:${String(value)}`}\n`;
      shape.push([name, kind, value]);
      continue;
    }
    key += `${name} ${kind}\n`;
    shape.push([name, kind]);
    const place = `${kind} ${name}`;
    let column = columns.get(place);
    if (column === undefined) {
      column = {
        name,
        kind,
        values: Array.from({ length: count }, () => (isNumeric(kind) ? 0 : '')),
      };
      columns.set(place, column);
    }
    column.values[at] = columnValue(kind, value);
  }
  return { key, shape };
}

function isNumbered(id: unknown, seq: unknown): id is string {
  return typeof id === 'string' && Number.isSafeInteger(seq) && id.endsWith(`-${String(seq)}`);
}

function isNumeric(kind: FieldKind): boolean {
  return kind === 'time' || kind === 'count' || kind === 'serial';
}

function columnValue(kind: FieldKind, value: unknown): string | number {
  if (kind === 'time') return Date.parse(String(value));
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

function widthOf(kind: FieldKind): number {
  return kind === 'hex16' ? 16 : 8;
}

type Column =
  | { readonly kind: 'numbers'; readonly values: Float64Array }
  | { readonly kind: 'texts'; readonly values: Texts }
  | { readonly kind: 'bytes'; readonly values: Buffer; readonly width: number };

/** A block to read from; every method throws where the block is damaged. */
export type Block = {
  readonly count: number;
  readonly shapes: readonly Shape[];
  /** Which shape the record at a place has. */
  readonly shapeAt: (at: number) => number;
  /** One field of the record at a place, whose shape has that field. */
  readonly value: (field: ShapeField, at: number) => unknown;
  /** The distinct values of a text column, and which each record has. */
  readonly texts: (name: string) => Texts | undefined;
  readonly numbers: (name: string, kind: FieldKind) => Float64Array | undefined;
  /** The record at a place with all its fields, and `node`. */
  readonly row: (at: number) => Row;
};

/** Opens a block; columns are read when they are asked for. `columns` is called at most once. */
export function openBlock(count: number, headBytes: Buffer, columns: () => Buffer): Block {
  const head = JSON.parse(unpackSection(headBytes).toString('utf8')) as Head;
  const places = new Map(head.columns.map((place) => [`${place[1]} ${place[0]}`, place]));
  const opened = new Map<string, Column | undefined>();
  let bytes: Buffer | undefined;
  function column(name: string, kind: FieldKind): Column | undefined {
    const key = `${kind} ${name}`;
    if (opened.has(key)) return opened.get(key);
    const place = places.get(key);
    let found: Column | undefined;
    if (place !== undefined) {
      bytes ??= columns();
      const packed = bytes.subarray(place[2], place[2] + place[3]);
      found = decodeColumn(kind, unpackSection(packed), count);
    }
    opened.set(key, found);
    return found;
  }
  const read = (name: string, kind: FieldKind, at: number): unknown =>
    valueAt(column(name, kind), kind, at);
  const shapeAt = (at: number): number => Number(read(SHAPE_COLUMN, 'count', at));
  const value = ([name, kind, literal]: ShapeField, at: number): unknown => {
    if (kind === 'literal') return literal;
    return kind === 'numbered' ? `${literal}${read('seq', 'serial', at)}` : read(name, kind, at);
  };
  return {
    count,
    shapes: head.shapes,
    shapeAt,
    value,
    texts(name) {
      const found = column(name, 'text');
      return found?.kind === 'texts' ? found.values : undefined;
    },
    numbers(name, kind) {
      const found = column(name, kind);
      return found?.kind === 'numbers' ? found.values : undefined;
    },
    row(at) {
      const fields: Record<string, unknown> = {};
      let node = '';
      for (const field of head.shapes[shapeAt(at)] ?? []) {
        if (field[0] === 'node') node = String(field[2]);
        else fields[field[0]] = value(field, at);
      }
      return { node, fields };
    },
  };
}

/** Whether the parts of a block are as they were written. */
export function isIntact(head: Uint8Array, columns: Uint8Array, crc: number): boolean {
  return crc32(columns, crc32(head)) === crc;
}

function decodeColumn(kind: FieldKind, bytes: Buffer, count: number): Column {
  if (kind === 'time' || kind === 'serial')
    return { kind: 'numbers', values: decodeDeltas(bytes, count) };
  if (kind === 'count') return { kind: 'numbers', values: decodeNumbers(bytes, count) };
  if (kind !== 'hex8' && kind !== 'hex16')
    return { kind: 'texts', values: decodeTexts(bytes, count) };
  return { kind: 'bytes', values: bytes, width: widthOf(kind) };
}

function valueAt(column: Column | undefined, kind: FieldKind, at: number): unknown {
  if (column === undefined) return undefined;
  if (column.kind === 'bytes') {
    return column.values.toString('hex', at * column.width, (at + 1) * column.width);
  }
  if (column.kind === 'texts') {
    const text = column.values.distinct[column.values.indexes[at] ?? 0] ?? '';
    return kind === 'json' ? JSON.parse(text) : text;
  }
  const number = column.values[at] ?? 0;
  return kind === 'time' ? new Date(number).toISOString() : number;
}
