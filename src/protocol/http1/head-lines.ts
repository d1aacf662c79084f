import { CR, LF } from './characters.ts';
import { equalsLower, FIELD, Fields } from './fields.ts';
import type { HeadLimits, Http1Error } from './messages.ts';

/** Reads the start line `bytes[start, end)`; undefined if it is fine. */
export type StartLineReader = (bytes: Buffer, start: number, end: number) => Http1Error | undefined;

/** What the framing, routing and connection fields of a head say, gathered as its lines pass. */
export type FieldSummary = {
  hostCount: number;
  hostIndex: number;
  /** Bytes, or -1 where absent. */
  contentLength: number;
  chunked: boolean;
  connection: boolean;
  close: boolean;
  keepAlive: boolean;
  expectContinue: boolean;
  upgradeIndex: number;
  /** Connection names `upgrade`. */
  upgradeOption: boolean;
  authorizationCount: number;
};

/**
 * Takes a head line by line from chunks of any size. A head inside one chunk is read in place; one
 * that spans chunks is gathered, each byte looked at a constant number of times.
 * INVARIANT: the outcome depends on the bytes alone, never on how they were cut into chunks.
 */
export class HeadLines {
  readonly fields = new Fields();
  readonly summary: FieldSummary = emptySummary();
  /** Bytes of the latest chunk that belong to the head, once `read` returned true. */
  consumed = 0;
  readonly #limits: HeadLimits;
  readonly #maxStartLine: number;
  readonly #readStartLine: StartLineReader;
  #held: Buffer | undefined;
  #heldLength = 0;
  // Where the line in progress starts and up to where it is known to hold no LF.
  #line = 0;
  #scanned = 0;
  #origin = 0;
  #started = false;
  #skippedEmpty = false;

  constructor(limits: HeadLimits, maxStartLine: number, readStartLine: StartLineReader) {
    this.#limits = limits;
    this.#maxStartLine = maxStartLine;
    this.#readStartLine = readStartLine;
  }

  /** Whether part of a head has been read. */
  get partial(): boolean {
    return this.#heldLength > 0;
  }

  /** True: the head is complete. False: more is needed. Otherwise why it is refused. */
  read(chunk: Buffer, from: number): boolean | Http1Error {
    const before = this.#heldLength;
    const bytes = before === 0 ? chunk : this.#hold(chunk, from);
    const end = before === 0 ? chunk.length : this.#heldLength;
    if (before === 0) this.#begin(bytes, from);
    const outcome = this.#lines(bytes, end);
    if (outcome === true) {
      this.consumed = this.fields.fieldsEnd + 2 - (before === 0 ? from : before);
      this.#forget();
    } else if (outcome === false && before === 0) this.#keep(chunk, from);
    return outcome;
  }

  #lines(bytes: Buffer, end: number): boolean | Http1Error {
    for (;;) {
      const refusal = this.#takePlain(bytes, end);
      if (refusal !== undefined) return refusal;
      let at = this.#scanned;
      while (at < end && bytes[at] !== LF) at++;
      this.#scanned = at;
      const over = this.#overLimit(at);
      if (over !== undefined) return over;
      if (at === end) return false;
      if (at === this.#line || bytes[at - 1] !== CR) return 'bare_lf';
      const outcome = this.#takeLine(bytes, this.#line, at - 1);
      if (outcome !== undefined) return outcome;
      this.#line = at + 1;
      this.#scanned = at + 1;
    }
  }

  /** Takes field lines as long as they are whole and plain: each byte is looked at once, and not for a line's end before. */
  #takePlain(bytes: Buffer, end: number): Http1Error | undefined {
    while (this.#started && this.#scanned === this.#line) {
      if (this.fields.count === this.#limits.maxFields) return undefined;
      const at = this.fields.addPlain(bytes, this.#line, end);
      if (at < 0) return undefined;
      const over = this.#overLimit(at + 1);
      if (over !== undefined) return over;
      this.#line = at + 2;
      this.#scanned = at + 2;
      const { fields, summary } = this;
      const code = fields.code(fields.count - 1);
      if (code === FIELD.OTHER) continue;
      const refusal = summarize(summary, fields, bytes, code);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  // `at` is where the line in progress ends, or how far it is known to reach.
  #overLimit(at: number): Http1Error | undefined {
    if (!this.#started && at - this.#line > this.#maxStartLine) return 'target_too_long';
    return at - this.#origin >= this.#limits.maxHeadBytes ? 'head_too_large' : undefined;
  }

  #takeLine(bytes: Buffer, start: number, end: number): true | Http1Error | undefined {
    if (!this.#started) {
      // RFC 9112 section 2.2: one empty line before the start line is skipped.
      if (start === end && !this.#skippedEmpty) {
        this.#skippedEmpty = true;
        return undefined;
      }
      this.#started = true;
      this.fields.lineStart = start;
      this.fields.fieldsStart = end + 2;
      return this.#readStartLine(bytes, start, end);
    }
    if (start === end) {
      this.fields.bytes = bytes;
      this.fields.fieldsEnd = start;
      return true;
    }
    if (this.fields.count === this.#limits.maxFields) return 'too_many_fields';
    const code = this.fields.add(bytes, start, end);
    if (typeof code === 'string') return code;
    return code === FIELD.OTHER ? undefined : summarize(this.summary, this.fields, bytes, code);
  }

  #begin(bytes: Buffer, from: number): void {
    this.fields.bytes = bytes;
    this.fields.reset();
    clear(this.summary);
    this.#line = from;
    this.#scanned = from;
    this.#origin = from;
    this.#started = false;
    this.#skippedEmpty = false;
  }

  // Offsets are kept relative to the held bytes, so those found so far move with them.
  #keep(chunk: Buffer, from: number): void {
    const length = chunk.length - from;
    this.#held = Buffer.allocUnsafe(Math.max(1024, length * 2));
    chunk.copy(this.#held, 0, from);
    this.#heldLength = length;
    this.fields.shift(from);
    this.#line -= from;
    this.#scanned -= from;
    this.#origin = 0;
  }

  #hold(chunk: Buffer, from: number): Buffer {
    const room = Math.min(chunk.length - from, this.#limits.maxHeadBytes);
    const length = this.#heldLength + room;
    let held = this.#held ?? Buffer.allocUnsafe(length * 2);
    if (held.length < length) {
      const grown = Buffer.allocUnsafe(length * 2);
      held.copy(grown, 0, 0, this.#heldLength);
      held = grown;
    }
    chunk.copy(held, this.#heldLength, from, from + room);
    this.#held = held;
    this.#heldLength = length;
    this.fields.bytes = held;
    return held;
  }

  #forget(): void {
    this.#held = undefined;
    this.#heldLength = 0;
  }
}

function emptySummary(): FieldSummary {
  const summary = {} as FieldSummary;
  clear(summary);
  return summary;
}

function clear(summary: FieldSummary): void {
  summary.hostCount = 0;
  summary.hostIndex = -1;
  summary.contentLength = -1;
  summary.chunked = false;
  summary.connection = false;
  summary.close = false;
  summary.keepAlive = false;
  summary.expectContinue = false;
  summary.upgradeIndex = -1;
  summary.upgradeOption = false;
  summary.authorizationCount = 0;
}

// SECURITY: RFC 9110 section 5.5 allows a tab around a value, but nginx refuses one here and other servers
// have taken it for part of the value.
const UNTABBED: Readonly<Record<number, Http1Error>> = {
  [FIELD.HOST]: 'bad_host',
  [FIELD.CONTENT_LENGTH]: 'bad_content_length',
  [FIELD.TRANSFER_ENCODING]: 'bad_transfer_encoding',
  [FIELD.CONNECTION]: 'bad_connection',
};

function summarize(
  summary: FieldSummary,
  fields: Fields,
  bytes: Buffer,
  code: number,
): Http1Error | undefined {
  const index = fields.count - 1;
  const start = fields.valueStart(index);
  const end = fields.valueEnd(index);
  if (fields.hasTabAround && UNTABBED[code] !== undefined) return UNTABBED[code];
  switch (code) {
    case FIELD.HOST:
      summary.hostIndex = index;
      return summary.hostCount++ === 0 ? undefined : 'repeated_host';
    case FIELD.CONTENT_LENGTH:
      if (summary.contentLength >= 0) return 'repeated_content_length';
      summary.contentLength = parseLength(bytes, start, end);
      return summary.contentLength < 0 ? 'bad_content_length' : undefined;
    case FIELD.TRANSFER_ENCODING:
      if (summary.chunked) return 'repeated_transfer_encoding';
      summary.chunked = true;
      // RFC 9112 section 6.1; other codings than a single `chunked` are implemented nowhere.
      return isText(bytes, start, end, 'chunked') ? undefined : 'bad_transfer_encoding';
    case FIELD.CONNECTION:
      // What nearly every client sends means nothing between HTTP/1.1 hops.
      if (!isText(bytes, start, end, 'keep-alive')) summary.connection = true;
      else summary.keepAlive = true;
      return undefined;
    case FIELD.EXPECT:
      if (summary.expectContinue) return 'bad_expect';
      summary.expectContinue = true;
      return isText(bytes, start, end, '100-continue') ? undefined : 'bad_expect';
    case FIELD.UPGRADE:
      if (summary.upgradeIndex >= 0) return 'repeated_field';
      summary.upgradeIndex = index;
      return undefined;
    case FIELD.AUTHORIZATION:
      // SECURITY: of two credentials each hop would pick another one.
      return summary.authorizationCount++ === 0 ? undefined : 'repeated_field';
    default:
      return undefined;
  }
}

// RFC 9110 section 8.6, without lists; leading zeros are refused since some read them as octal.
function parseLength(bytes: Buffer, start: number, end: number): number {
  if (start === end || end - start > 15) return -1;
  if (bytes[start] === 0x30 && end - start > 1) return -1;
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

function isText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  return equalsLower(bytes, start, text);
}
