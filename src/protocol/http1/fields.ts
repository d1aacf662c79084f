import { CLASS, CR, HTAB, LF, PLAIN_NAME, PLAIN_VALUE, SP, TOKEN, VALUE } from './characters.ts';
import type { Http1Error } from './messages.ts';

/** Fields the readers and writers treat specially; every other one is `OTHER`. */
export const FIELD = {
  OTHER: 0,
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 3,
  CONNECTION: 4,
  /** Hop-by-hop whatever Connection says (RFC 9110 section 7.6.1). */
  HOP: 5,
  UPGRADE: 6,
  EXPECT: 7,
  /** `x-palisade-…`: only a sidecar may say these. */
  PALISADE: 8,
  /** `x-forwarded-client-cert`. */
  CLIENT_CERT: 9,
  TRACEPARENT: 10,
  AUTHORIZATION: 11,
  ACCEPT: 12,
  /** Named by Connection, and therefore hop-by-hop. */
  NOMINATED: 13,
} as const;

/** One of the numbers in `FIELD`. */
export type FieldCode = (typeof FIELD)[keyof typeof FIELD];

/** A set of field codes as a bit mask: the fields a writer leaves out. */
export function fieldSet(...codes: readonly FieldCode[]): number {
  return codes.reduce<number>((mask, code) => mask | (1 << code), 0);
}

/** What can be asked of the fields of a head, whichever version of HTTP it came in. */
export type FieldLookup = Pick<Fields, 'names' | 'value' | 'values' | 'valueOf'>;

const EMPTY: Buffer = Buffer.alloc(0);
const STRIDE = 5;
const START = 0;
const COLON = 1;
const VALUE_START = 2;
const VALUE_END = 3;
const CODE = 4;

/**
 * The fields of one head as ranges of its bytes, so that a head can be written again by copying
 * ranges. Field lines are contiguous: each ends where the next one starts.
 */
export class Fields {
  /** The bytes all ranges refer to. */
  bytes: Buffer = EMPTY;
  /**
   * Where the start line begins, where the first field line begins and where the last one ends.
   * INVARIANT: once the head is complete, the CRLF of its empty line is at `fieldsEnd`.
   */
  lineStart = 0;
  fieldsStart = 0;
  fieldsEnd = 0;
  count = 0;
  /** The value of the field added last has a tab before or behind it. */
  hasTabAround = false;
  #table = new Int32Array(24 * STRIDE);

  /** Forgets the fields of the head before. */
  reset(): void {
    this.count = 0;
  }

  /**
   * Reads the field line `bytes[start, end)` (without its CRLF) and adds it.
   * Returns its code, or the reason why it is refused.
   */
  add(bytes: Buffer, start: number, end: number): FieldCode | Http1Error {
    let colon = start;
    let underscores = 0;
    while (colon < end && ((CLASS[bytes[colon] as number] as number) & TOKEN) !== 0) {
      if (bytes[colon] === 0x5f) underscores++;
      colon++;
    }
    if (colon === end || bytes[colon] !== 0x3a) return nameError(bytes, start, colon, end);
    if (colon === start) return 'empty_field_name';
    let from = colon + 1;
    let tabs = 0;
    while (from < end && isBlank(bytes[from] as number)) if (bytes[from++] === HTAB) tabs++;
    let to = end;
    while (to > from && isBlank(bytes[to - 1] as number)) if (bytes[--to] === HTAB) tabs++;
    this.hasTabAround = tabs > 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number;
      if (((CLASS[byte] as number) & VALUE) === 0)
        return byte === CR ? 'bare_cr' : 'bad_field_value';
    }
    const code =
      underscores === 0 ? classify(bytes, start, colon) : underscored(bytes, start, colon);
    if (typeof code === 'string') return code;
    this.#push(start, colon, from, to, code);
    return code;
  }

  /**
   * Reads the field line that begins at `start` and adds it, if it is one like nearly all are: whole before `limit`, and
   * without tabs and underscores. Returns where its CR is; -1 if `add` is to say what is to be done with it.
   */
  addPlain(bytes: Buffer, start: number, limit: number): number {
    let colon = start;
    while (colon < limit && ((CLASS[bytes[colon] as number] as number) & PLAIN_NAME) !== 0) colon++;
    if (colon === start || colon === limit || bytes[colon] !== 0x3a) return -1;
    let from = colon + 1;
    while (from < limit && bytes[from] === SP) from++;
    let end = from;
    while (end < limit && ((CLASS[bytes[end] as number] as number) & PLAIN_VALUE) !== 0) end++;
    if (end + 1 >= limit || bytes[end] !== CR || bytes[end + 1] !== LF) return -1;
    let to = end;
    while (to > from && bytes[to - 1] === SP) to--;
    this.hasTabAround = false;
    this.#push(start, colon, from, to, classify(bytes, start, colon));
    return end;
  }

  /** Moves every range `by` bytes to the front: the bytes were copied to a buffer of their own. */
  shift(by: number): void {
    this.lineStart -= by;
    this.fieldsStart -= by;
    for (let at = 0; at < this.count * STRIDE; at += STRIDE) {
      for (let column = START; column <= VALUE_END; column++) {
        this.#table[at + column] = (this.#table[at + column] as number) - by;
      }
    }
  }

  /** Copies the head out of the bytes it was read from, which may then be used for something else. */
  detach(): void {
    this.bytes = Buffer.from(this.bytes.subarray(this.lineStart, this.fieldsEnd + 2));
    this.fieldsEnd -= this.lineStart;
    this.shift(this.lineStart);
  }

  /** The code of field `index`. */
  code(index: number): number {
    return this.#table[index * STRIDE + CODE] as number;
  }

  /** Where the line of field `index` starts. */
  start(index: number): number {
    return this.#table[index * STRIDE + START] as number;
  }

  /** Where the line of field `index` ends, its CRLF included. */
  end(index: number): number {
    return index + 1 === this.count ? this.fieldsEnd : this.start(index + 1);
  }

  /** First byte of the value of field `index`. */
  valueStart(index: number): number {
    return this.#table[index * STRIDE + VALUE_START] as number;
  }

  /** One past the last byte of the value of field `index`. */
  valueEnd(index: number): number {
    return this.#table[index * STRIDE + VALUE_END] as number;
  }

  /** The value of field `index`, each byte one character. */
  valueAt(index: number): string {
    return this.bytes.toString('latin1', this.valueStart(index), this.valueEnd(index));
  }

  /** The name of field `index` in lower case. */
  nameAt(index: number): string {
    const at = index * STRIDE;
    return this.bytes
      .toString('latin1', this.#table[at + START], this.#table[at + COLON])
      .toLowerCase();
  }

  /** The names of all fields, lower case, each once; those named by Connection do not count. */
  names(): string[] {
    const found = new Set<string>();
    for (let index = 0; index < this.count; index++) {
      if (this.code(index) !== FIELD.NOMINATED) found.add(this.nameAt(index));
    }
    return [...found];
  }

  /** Every value of the field `name` (lower case), in order; hop-by-hop ones do not count. */
  values(name: string): string[] {
    const found: string[] = [];
    for (let index = 0; index < this.count; index++) {
      if (this.#isNamed(index, name) && this.code(index) !== FIELD.NOMINATED) {
        found.push(this.valueAt(index));
      }
    }
    return found;
  }

  /** The first value of the field `name` (lower case). */
  value(name: string): string | undefined {
    for (let index = 0; index < this.count; index++) {
      if (this.#isNamed(index, name) && this.code(index) !== FIELD.NOMINATED) {
        return this.valueAt(index);
      }
    }
    return undefined;
  }

  /** The first value of a field with this code. */
  valueOf(code: FieldCode): string | undefined {
    for (let index = 0; index < this.count; index++) {
      if (this.code(index) === code) return this.valueAt(index);
    }
    return undefined;
  }

  /** Marks every field `name` (lower case) as named by Connection. */
  nominate(name: string): void {
    for (let index = 0; index < this.count; index++) {
      if (this.code(index) !== FIELD.CONNECTION && this.#isNamed(index, name)) {
        this.#table[index * STRIDE + CODE] = FIELD.NOMINATED;
      }
    }
  }

  /** Leaves every field `name` (lower case) out of what is forwarded, with underscores for dashes too. */
  leaveOut(name: string): void {
    for (let index = 0; index < this.count; index++) {
      const written = this.nameAt(index);
      if (written === name || written.replaceAll('_', '-') === name) {
        this.#table[index * STRIDE + CODE] = FIELD.NOMINATED;
      }
    }
  }

  #isNamed(index: number, name: string): boolean {
    const at = index * STRIDE;
    const start = this.#table[at + START] as number;
    const length = (this.#table[at + COLON] as number) - start;
    return length === name.length && equalsLower(this.bytes, start, name);
  }

  #push(start: number, colon: number, from: number, to: number, code: FieldCode): void {
    const at = this.count * STRIDE;
    if (at + STRIDE > this.#table.length) {
      const grown = new Int32Array(this.#table.length * 2);
      grown.set(this.#table);
      this.#table = grown;
    }
    const table = this.#table;
    table[at + START] = start;
    table[at + COLON] = colon;
    table[at + VALUE_START] = from;
    table[at + VALUE_END] = to;
    table[at + CODE] = code;
    this.count++;
  }
}

/** Whether the bytes `[start, end)` are `text`, each byte one character: compared without making a string. */
export function equalsText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (bytes[start + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether the bytes from `start` are `text` (lower-case letters, digits, dashes) in any case. */
export function equalsLower(bytes: Buffer, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const byte = bytes[start + i] as number;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== text.charCodeAt(i)) return false;
  }
  return true;
}

function isBlank(byte: number): boolean {
  return byte === SP || byte === HTAB;
}

function nameError(bytes: Buffer, start: number, at: number, end: number): Http1Error {
  if (at === end) return 'field_without_colon';
  const byte = bytes[at] as number;
  if (byte === CR) return 'bare_cr';
  if (!isBlank(byte)) return 'bad_field_name';
  if (at === start) return 'obs_fold';
  let next = at;
  while (next < end && isBlank(bytes[next] as number)) next++;
  return next < end && bytes[next] === 0x3a ? 'space_before_colon' : 'bad_field_name';
}

const KNOWN: readonly (readonly [string, FieldCode])[] = [
  ['host', FIELD.HOST],
  ['content-length', FIELD.CONTENT_LENGTH],
  ['transfer-encoding', FIELD.TRANSFER_ENCODING],
  ['connection', FIELD.CONNECTION],
  ['keep-alive', FIELD.HOP],
  ['proxy-connection', FIELD.HOP],
  ['proxy-authenticate', FIELD.HOP],
  ['proxy-authorization', FIELD.HOP],
  ['proxy-authentication-info', FIELD.HOP],
  ['te', FIELD.HOP],
  ['http2-settings', FIELD.HOP],
  ['upgrade', FIELD.UPGRADE],
  ['expect', FIELD.EXPECT],
  ['x-forwarded-client-cert', FIELD.CLIENT_CERT],
  ['traceparent', FIELD.TRACEPARENT],
  ['authorization', FIELD.AUTHORIZATION],
  ['accept', FIELD.ACCEPT],
];
const PALISADE_PREFIX = 'x-palisade-';
const PALISADE_FIRST = PALISADE_PREFIX.charCodeAt(0);
type KnownField = { readonly name: string; readonly first: number; readonly code: FieldCode };
const BY_LENGTH: readonly (readonly KnownField[])[] = Array.from(
  { length: 1 + Math.max(...KNOWN.map((known) => known[0].length)) },
  (_, length) =>
    KNOWN.filter((known) => known[0].length === length).map(([name, code]) => ({
      name,
      first: name.charCodeAt(0),
      code,
    })),
);

function classify(bytes: Buffer, start: number, end: number): FieldCode {
  const length = end - start;
  const candidates = BY_LENGTH[length];
  // Most fields are none of these, and their first letter says so. A token's byte with that bit set is its lower case.
  const first = (bytes[start] as number) | 0x20;
  if (candidates !== undefined) {
    for (let i = 0; i < candidates.length; i++) {
      const known = candidates[i] as KnownField;
      if (known.first === first && equalsLower(bytes, start, known.name)) return known.code;
    }
  }
  if (
    first === PALISADE_FIRST &&
    length >= PALISADE_PREFIX.length &&
    equalsLower(bytes, start, PALISADE_PREFIX)
  ) {
    return FIELD.PALISADE;
  }
  return FIELD.OTHER;
}

const BY_NAME: ReadonlyMap<string, FieldCode> = new Map(KNOWN);

/** The code of a field by its name in lower case, or why such a field is refused. */
export function codeOfName(name: string): FieldCode | Http1Error {
  const known = BY_NAME.get(name);
  if (known !== undefined) return known;
  if (name.startsWith(PALISADE_PREFIX)) return FIELD.PALISADE;
  return name.includes('_') ? dashedCode(name.replaceAll('_', '-')) : FIELD.OTHER;
}

// SECURITY: CGI and WSGI applications cannot tell `x_forwarded_client_cert` from the field that
// only a sidecar may set, nor `content_length` from the one that frames the body.
function underscored(bytes: Buffer, start: number, end: number): FieldCode | Http1Error {
  return dashedCode(bytes.toString('latin1', start, end).toLowerCase().replaceAll('_', '-'));
}

function dashedCode(name: string): FieldCode | Http1Error {
  if (name.startsWith(PALISADE_PREFIX)) return FIELD.PALISADE;
  const code = BY_NAME.get(name) ?? FIELD.OTHER;
  if (code === FIELD.OTHER || code === FIELD.ACCEPT || code === FIELD.TRACEPARENT)
    return FIELD.OTHER;
  return code === FIELD.CLIENT_CERT || code === FIELD.HOP ? code : 'bad_field_name';
}
