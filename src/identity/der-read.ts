import { fail, ok, type Result } from '#lib';

/** ASN.1 tags used by X.509 and PKCS #10; all fit the one-byte form. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** What a reader throws at bytes that are not strict DER; `decodeDer` alone catches it. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/**
 * Runs `read`, turning a `DerError` to a failure. A decoder of nested fields reads like its ASN.1
 * definition when the failures travel by throwing; INVARIANT: none of them leaves this layer.
 */
export function decodeDer<T>(read: () => T): Result<T, string> {
  try {
    return ok(read());
  } catch (error) {
    if (error instanceof DerError) return fail(error.message);
    throw error;
  }
}

/**
 * A position in DER bytes (X.690 section 10): one-byte tags, definite lengths in their shortest
 * form. Bodies are views of the input, not copies.
 */
export class DerReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  /** Whether the next element has this tag; false at the end. */
  has(tag: number): boolean {
    return this.#at < this.#end && this.#bytes[this.#at] === tag;
  }

  /** Whether nothing is left. */
  atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** The tag of the next element, -1 at the end. */
  peek(): number {
    return this.#at < this.#end ? (this.#bytes[this.#at] ?? -1) : -1;
  }

  /** The body of the next element, which must have this tag. */
  body(tag: number): Buffer {
    const start = this.#header(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** The whole next element with its header. */
  whole(tag: number): Buffer {
    const start = this.#at;
    this.#header(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** A reader of the next element's body. */
  enter(tag: number): DerReader {
    const start = this.#header(tag);
    return new DerReader(this.#bytes, start, this.#at);
  }

  /** Refuses bytes that nobody read. */
  finish(): void {
    if (this.#at !== this.#end) throw new DerError('trailing bytes');
  }

  /** Reads the header, moves behind the element and returns where its body begins. */
  #header(tag: number): number {
    const bytes = this.#bytes;
    if (this.#at + 2 > this.#end) throw new DerError('truncated element');
    if (bytes[this.#at] !== tag) {
      throw new DerError(`tag ${bytes[this.#at]} where ${tag} is expected`);
    }
    let length = bytes[this.#at + 1] ?? 0;
    let start = this.#at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      // X.690 10.1: definite form, fewest octets. Three octets reach beyond any size accepted here.
      if (count === 0 || count > 3) throw new DerError('unsupported length');
      if (start + count > this.#end) throw new DerError('truncated length');
      length = bytes.readUIntBE(start, count);
      if (length < 0x80 || length < 2 ** (8 * (count - 1)))
        throw new DerError('length not minimal');
      start += count;
    }
    if (start + length > this.#end) throw new DerError('truncated element');
    this.#at = start + length;
    return start;
  }
}
