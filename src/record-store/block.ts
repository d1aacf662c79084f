import { crc32 } from 'node:zlib';
import {
  decodeDeltas,
  decodeNumbers,
  decodeTexts,
  mayHoldText,
  type Texts,
  unpackSection,
} from './columns.ts';
import type { FieldKind, Row } from './row.ts';

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
/** What a block's head says: shapes by the places of their fields, which are written once. */
export type Head = {
  readonly fields: readonly ShapeField[];
  readonly shapes: readonly (readonly number[])[];
  readonly columns: readonly ColumnPlace[];
};
/** As it was in files of the first schema, whose blocks stay as they are. */
type FirstHead = { readonly shapes: readonly Shape[]; readonly columns: readonly ColumnPlace[] };

/** The name of the column that says which shape each record has. */
export const SHAPE_COLUMN = '';

/** Bytes of a value in a column of digests. */
export function widthOf(kind: FieldKind): number {
  return kind === 'hex16' ? 16 : 8;
}

type Column =
  | { readonly kind: 'numbers'; readonly values: Float64Array }
  | { readonly kind: 'texts'; readonly values: Texts }
  | { readonly kind: 'bytes'; readonly values: Buffer; readonly width: number };

/** A block to read from; every method throws where the block is damaged. */
export type Block = {
  readonly count: number;
  /** Shapes that agree in a field share it. */
  readonly shapes: readonly Shape[];
  /** Which shape the record at a place has. */
  readonly shapeAt: (at: number) => number;
  /** One field of the record at a place, whose shape has that field. */
  readonly value: (field: ShapeField, at: number) => unknown;
  /** All columns but that of the shapes. */
  readonly columns: readonly (readonly [name: string, kind: FieldKind])[];
  /** The distinct values of a column of texts (or of JSON), and which each record has. */
  readonly texts: (name: string, kind?: FieldKind) => Texts | undefined;
  /** False where no value of a column of texts holds this text, in lower case: asked without reading them apart. */
  readonly mayHoldText: (name: string, text: string) => boolean;
  /** The values of a column of digests, one after the other. */
  readonly bytes: (name: string, kind: FieldKind) => Buffer | undefined;
  readonly numbers: (name: string, kind: FieldKind) => Float64Array | undefined;
  /** The record at a place with all its fields, and `node`. */
  readonly row: (at: number) => Omit<Row, 'ms'>;
};

/** Opens a block; columns are read when they are asked for. `columns` is called at most once. */
export function openBlock(count: number, headBytes: Buffer, columns: () => Buffer): Block {
  const head = JSON.parse(unpackSection(headBytes).toString('utf8')) as Head | FirstHead;
  const shapes = shapesOf(head);
  const places = new Map(head.columns.map((place) => [`${place[1]} ${place[0]}`, place]));
  const opened = new Map<string, Column | undefined>();
  let bytes: Buffer | undefined;
  const section = ([, , start, length]: ColumnPlace): Buffer => {
    bytes ??= columns();
    return unpackSection(bytes.subarray(start, start + length));
  };
  function column(name: string, kind: FieldKind): Column | undefined {
    const key = `${kind} ${name}`;
    if (opened.has(key)) return opened.get(key);
    const place = places.get(key);
    let found: Column | undefined;
    if (place !== undefined) found = decodeColumn(kind, section(place), count);
    opened.set(key, found);
    return found;
  }
  const read = (name: string, kind: FieldKind, at: number): unknown =>
    valueAt(column(name, kind), kind, at);
  let shapeIndexes: Float64Array | undefined;
  const shapeAt = (at: number): number => {
    const found = (shapeIndexes ??= numbersOf(column(SHAPE_COLUMN, 'count')));
    return found[at] ?? 0;
  };
  const value = ([name, kind, literal]: ShapeField, at: number): unknown => {
    if (kind === 'literal') return literal;
    return kind === 'numbered' ? `${literal}${read('seq', 'serial', at)}` : read(name, kind, at);
  };
  return {
    count,
    shapes,
    shapeAt,
    value,
    columns: head.columns.slice(1).map(([name, kind]) => [name, kind] as const),
    texts(name, kind = 'text') {
      const found = column(name, kind);
      return found?.kind === 'texts' ? found.values : undefined;
    },
    mayHoldText(name, text) {
      const place = places.get(`text ${name}`);
      return place !== undefined && mayHoldText(section(place), text);
    },
    bytes(name, kind) {
      const found = column(name, kind);
      return found?.kind === 'bytes' ? found.values : undefined;
    },
    numbers(name, kind) {
      const found = column(name, kind);
      return found?.kind === 'numbers' ? found.values : undefined;
    },
    row(at) {
      const fields: Record<string, unknown> = {};
      let node = '';
      for (const field of shapes[shapeAt(at)] ?? []) {
        if (field[0] === 'node') node = String(field[2]);
        else fields[field[0]] = value(field, at);
      }
      return { node, fields };
    },
  };
}

function shapesOf(head: Head | FirstHead): readonly Shape[] {
  if (!('fields' in head)) return head.shapes;
  return head.shapes.map((places) =>
    places.map((place) => {
      const field = head.fields[place];
      if (field === undefined) throw new RangeError('a shape names no field');
      return field;
    }),
  );
}

function numbersOf(column: Column | undefined): Float64Array {
  if (column?.kind !== 'numbers') throw new RangeError('a block without shapes');
  return column.values;
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
