import { CLASS, CR, hexValue, LF, TOKEN } from './characters.ts';
import { FIELD, Fields } from './fields.ts';
import type { Framing, Http1Error } from './messages.ts';

/** Chunk extensions of one message: nobody uses them but attackers. */
const MAX_EXTENSION_BYTES = 256;
/** Trailers of one message, in bytes with line ends. */
const MAX_TRAILER_BYTES = 8 * 1024;
const MAX_TRAILERS = 32;
/** Hexadecimal digits of a chunk size: up to 2^52 - 1, and no padding past that. */
const MAX_SIZE_DIGITS = 13;

const S = {
  sizeFirst: 0,
  size: 1,
  extension: 2,
  sizeLf: 3,
  data: 4,
  dataCr: 5,
  dataLf: 6,
  trailer: 7,
  length: 8,
  untilClose: 9,
  done: 10,
} as const;

/** Where in a chunk extension: `#digits` counts these while there are no digits to count. */
const EXT = { start: 0, name: 1, equals: 2, value: 3 } as const;

/**
 * Finds where a body ends and checks its framing while the bytes pass; it keeps none of them.
 * One reader serves all messages of a connection, one after another.
 */
export class BodyReader {
  /** The message is complete. */
  complete = true;
  /** Why the rest of the message must not be forwarded. */
  error: Http1Error | undefined;
  #state: number = S.done;
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailer: TrailerLines | undefined;

  /** Starts the body of the next message. */
  start(framing: Framing): void {
    this.error = undefined;
    this.#left = 0;
    this.#extensionBytes = 0;
    this.#trailer = undefined;
    if (framing.kind === 'length') {
      this.#left = framing.length;
      this.#state = S.length;
    } else if (framing.kind === 'chunked') this.#state = S.sizeFirst;
    else this.#state = framing.kind === 'until_close' ? S.untilClose : S.done;
    this.complete = this.#state === S.done;
  }

  /**
   * Returns where in `chunk`, from `from` on, the bytes of this message end. On an error nothing
   * of the chunk may be forwarded, and the message must be cut off so that its receiver notices.
   */
  read(chunk: Buffer, from: number): number {
    if (this.#state === S.untilClose) return chunk.length;
    if (this.#state === S.length) {
      const taken = Math.min(this.#left, chunk.length - from);
      this.#left -= taken;
      if (this.#left === 0) this.#finish();
      return from + taken;
    }
    let at = from;
    while (at < chunk.length && !this.complete) {
      at = this.#step(chunk, at);
      if (this.error !== undefined) return from;
    }
    return at;
  }

  /** The sender ended its side; true if the message is complete. */
  end(): boolean {
    if (this.#state === S.untilClose) this.#finish();
    return this.complete;
  }

  // RFC 9112 section 7.1.
  #step(chunk: Buffer, at: number): number {
    if (this.#state === S.data) {
      const taken = Math.min(this.#left, chunk.length - at);
      this.#left -= taken;
      if (this.#left === 0) this.#state = S.dataCr;
      return at + taken;
    }
    if (this.#state === S.trailer) return this.#readTrailer(chunk, at);
    this.#readByte(chunk[at] as number);
    return at + 1;
  }

  #readByte(byte: number): void {
    switch (this.#state) {
      case S.sizeFirst:
      case S.size:
        return this.#readSize(byte);
      case S.extension:
        return this.#readExtension(byte);
      case S.sizeLf:
        if (byte !== LF) return this.#fail('bare_cr');
        this.#state = this.#left === 0 ? S.trailer : S.data;
        return;
      case S.dataCr:
        if (byte !== CR) return this.#fail(byte === LF ? 'bare_lf' : 'bad_chunk_data');
        this.#state = S.dataLf;
        return;
      default:
        if (byte !== LF) return this.#fail('bad_chunk_data');
        this.#state = S.sizeFirst;
    }
  }

  #readSize(byte: number): void {
    const digit = hexValue(byte);
    if (digit >= 0) {
      if (this.#state === S.sizeFirst) this.#digits = 0;
      if (++this.#digits > MAX_SIZE_DIGITS) return this.#fail('bad_chunk_size');
      this.#left = this.#left * 16 + digit;
      this.#state = S.size;
      return;
    }
    if (this.#state === S.sizeFirst) return this.#fail(byte === LF ? 'bare_lf' : 'bad_chunk_size');
    if (byte === CR) this.#state = S.sizeLf;
    else if (byte === LF) this.#fail('bare_lf');
    else if (byte === 0x3b) {
      this.#extensionBytes++;
      this.#state = S.extension;
      this.#digits = EXT.start;
    } else this.#fail('bad_chunk_size');
  }

  // RFC 9112 section 7.1.1, without quoted strings and white space, bounded over the whole message.
  #readExtension(byte: number): void {
    const isAfterToken = this.#digits === EXT.name || this.#digits === EXT.value;
    if (byte === CR && isAfterToken) {
      this.#state = S.sizeLf;
      return;
    }
    if (byte === LF) return this.#fail('bare_lf');
    if (++this.#extensionBytes > MAX_EXTENSION_BYTES) return this.#fail('bad_chunk_extension');
    if (byte === 0x3b && isAfterToken) this.#digits = EXT.start;
    else if (byte === 0x3d && this.#digits === EXT.name) this.#digits = EXT.equals;
    else if (((CLASS[byte] as number) & TOKEN) === 0) this.#fail('bad_chunk_extension');
    else this.#digits = this.#digits <= EXT.name ? EXT.name : EXT.value;
  }

  #readTrailer(chunk: Buffer, at: number): number {
    this.#trailer ??= new TrailerLines();
    const end = this.#trailer.read(chunk, at);
    if (this.#trailer.error !== undefined) this.#fail(this.#trailer.error);
    else if (this.#trailer.complete) this.#finish();
    return end;
  }

  #fail(error: Http1Error): void {
    this.error = error;
  }

  #finish(): void {
    this.#state = S.done;
    this.complete = true;
  }
}

// SECURITY: fields that frame, route, authenticate or describe the message must not come after
// policy has judged it (RFC 9110 section 6.5.1).
const FORBIDDEN_TRAILERS = new Set([
  'age',
  'allow',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expires',
  'forwarded',
  'location',
  'max-forwards',
  'origin',
  'pragma',
  'range',
  'referer',
  'retry-after',
  'set-cookie',
  'trailer',
  'tracestate',
  'vary',
  'via',
  'warning',
  'www-authenticate',
]);
const FORBIDDEN_TRAILER_PREFIX =
  /^(?:access-control-|if-|proxy-|sec-|x-forwarded-|x-http-|x-real-)/;

/** The lines after the last chunk, gathered since each must be judged whole. */
class TrailerLines {
  complete = false;
  error: Http1Error | undefined;
  #line = Buffer.allocUnsafe(256);
  #length = 0;
  #total = 0;
  #count = 0;

  read(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && !this.complete && this.error === undefined) {
      const byte = chunk[at++] as number;
      if (++this.#total > MAX_TRAILER_BYTES) this.error = 'trailers_too_large';
      else if (byte === LF) this.#endLine();
      else this.#append(byte);
    }
    return at;
  }

  #append(byte: number): void {
    if (this.#length === this.#line.length) {
      const grown = Buffer.allocUnsafe(this.#line.length * 2);
      this.#line.copy(grown);
      this.#line = grown;
    }
    this.#line[this.#length++] = byte;
  }

  #endLine(): void {
    const end = this.#length - 1;
    this.#length = 0;
    if (end < 0 || this.#line[end] !== CR) this.error = 'bare_lf';
    else if (end === 0) this.complete = true;
    else if (++this.#count > MAX_TRAILERS) this.error = 'trailers_too_large';
    else this.error = trailerError(this.#line, end);
  }
}

function trailerError(line: Buffer, end: number): Http1Error | undefined {
  const fields = new Fields();
  fields.bytes = line;
  const code = fields.add(line, 0, end);
  if (typeof code === 'string') return code;
  if (code !== FIELD.OTHER) return 'forbidden_trailer';
  return isForbiddenTrailer(fields.nameAt(0)) ? 'forbidden_trailer' : undefined;
}

/** Whether a field (name in lower case, and none with a `FIELD` code) must not come as a trailer. */
export function isForbiddenTrailer(field: string): boolean {
  const name = field.replaceAll('_', '-');
  return FORBIDDEN_TRAILERS.has(name) || FORBIDDEN_TRAILER_PREFIX.test(name);
}
