import { status } from '@grpc/grpc-js';
import type { CallRefusal } from './call-head.ts';

/** PROTOCOL-HTTP2.md, `Length-Prefixed-Message`: a flag and 4 bytes of length. */
const PREFIX_BYTES = 5;
const NOTHING = Buffer.alloc(0);

/** The prefix and the bytes of a message that is not compressed. */
export function frameMessage(bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + bytes.length);
  frame[0] = 0;
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, PREFIX_BYTES);
  return frame;
}

/** Cuts what comes on a stream into its messages, whatever pieces it comes in. */
export class MessageReader {
  readonly #maxBytes: number;
  readonly #encoding: string | undefined;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixed = 0;
  /** Of the message in hand, once its prefix is there: its length, and how much of it has come. */
  #length = 0;
  #taken = 0;
  #body = NOTHING;

  /** `encoding`: how the caller says that it compresses; none is spoken here. */
  constructor(maxBytes: number, encoding: string | undefined) {
    this.#maxBytes = maxBytes;
    this.#encoding = encoding;
  }

  /** Whether the bytes so far end amid a message. */
  get isPartial(): boolean {
    return this.#prefixed > 0;
  }

  /**
   * Takes `chunk[start, end)`, which is only lent, and hands `onMessage` each message that it completes. Returns why it is
   * none of ours, if so; nothing may follow then. SECURITY: a length is believed once its bytes are there.
   */
  take(
    chunk: Buffer,
    start: number,
    end: number,
    onMessage: (bytes: Buffer) => void,
  ): CallRefusal | undefined {
    let at = start;
    while (at < end) {
      if (this.#prefixed < PREFIX_BYTES) {
        const count = Math.min(PREFIX_BYTES - this.#prefixed, end - at);
        chunk.copy(this.#prefix, this.#prefixed, at, at + count);
        this.#prefixed += count;
        at += count;
        if (this.#prefixed < PREFIX_BYTES) return undefined;
        this.#length = this.#prefix.readUInt32BE(1);
        const problem = this.#problem();
        if (problem !== undefined) return problem;
      }
      const count = Math.min(this.#length - this.#taken, end - at);
      this.#append(chunk, at, count);
      at += count;
      if (this.#taken === this.#length) onMessage(this.#complete());
    }
    return undefined;
  }

  // SECURITY: what is held is at most twice what came, though it came byte by byte, and never more than was announced.
  #append(chunk: Buffer, at: number, count: number): void {
    const taken = this.#taken + count;
    if (taken > this.#body.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#length, Math.max(taken, 2 * this.#taken)));
      this.#body.copy(grown, 0, 0, this.#taken);
      this.#body = grown;
    }
    chunk.copy(this.#body, this.#taken, at, at + count);
    this.#taken = taken;
  }

  #complete(): Buffer {
    const message = this.#body;
    this.#body = NOTHING;
    this.#taken = 0;
    this.#prefixed = 0;
    return message;
  }

  // PROTOCOL-HTTP2.md, `Compressed-Flag`; compression.md says which status each case has.
  #problem(): CallRefusal | undefined {
    const flag = this.#prefix[0];
    const isCompressed = this.#encoding !== undefined && this.#encoding !== 'identity';
    if (flag === 1 && isCompressed) {
      return { code: status.UNIMPLEMENTED, details: 'compressed messages are not taken' };
    }
    if (flag !== 0) return { code: status.INTERNAL, details: 'a message with a wrong flag' };
    if (this.#length <= this.#maxBytes) return undefined;
    const details = `a message of more than ${this.#maxBytes} bytes`;
    return { code: status.RESOURCE_EXHAUSTED, details };
  }
}
