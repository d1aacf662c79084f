import { hexValue, LF } from './characters.ts';

const STATE = { size: 0, line: 1, data: 2, dataEnd: 3, trailers: 4 } as const;

/**
 * Takes the chunks off a body that `BodyReader` has found well formed (RFC 9112 section 7.1), for
 * whoever passes it on without them.
 * INVARIANT: it checks nothing; bytes that were not read by a `BodyReader` must not come here.
 */
export class ChunkDecoder {
  /** Fields after the last chunk: name in lower case, value, name, value … */
  readonly trailers: string[] = [];
  #state: number = STATE.size;
  #left = 0;
  #line = '';

  /** Calls `onData` with each range of `chunk[start, end)` that is data. */
  read(
    chunk: Buffer,
    range: { readonly start: number; readonly end: number },
    onData: (start: number, end: number) => void,
  ): void {
    let at = range.start;
    while (at < range.end) {
      if (this.#state !== STATE.data) {
        this.#readByte(chunk[at++] as number);
        continue;
      }
      const until = Math.min(range.end, at + this.#left);
      this.#left -= until - at;
      onData(at, until);
      at = until;
      if (this.#left === 0) this.#state = STATE.dataEnd;
    }
  }

  #readByte(byte: number): void {
    switch (this.#state) {
      case STATE.size: {
        const digit = hexValue(byte);
        if (digit >= 0) this.#left = this.#left * 16 + digit;
        else this.#state = STATE.line;
        return;
      }
      case STATE.line:
        if (byte === LF) this.#state = this.#left > 0 ? STATE.data : STATE.trailers;
        return;
      case STATE.dataEnd:
        if (byte === LF) this.#state = STATE.size;
        return;
      default:
        if (byte === LF) this.#endTrailer();
        else this.#line += String.fromCharCode(byte);
    }
  }

  #endTrailer(): void {
    const line = this.#line.trimEnd();
    this.#line = '';
    const colon = line.indexOf(':');
    if (colon > 0) {
      this.trailers.push(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
  }
}
