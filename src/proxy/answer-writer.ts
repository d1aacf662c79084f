import type { RequestHead, ResponseHead } from '#protocol';
import type { RecordedCall } from '#telemetry';
import { type BodyPart, encodeChunk, serializeAnswer } from './answer.ts';
import type { BytePipe } from './pipe.ts';
import { giveBackScratch } from './scratch.ts';

const NO_PART: BodyPart = { chunk: Buffer.alloc(0), start: 0, end: 0, last: false };
const INTERIM = { side: 'inbound', close: false, rechunk: false } as const;

/** Writes a server's answers to the caller, one after another, and counts their bytes. */
export class AnswerWriter {
  /** A final answer has begun: it is too late for another one. */
  begun = false;
  /** The caller's connection ends with this answer. */
  closeAfter = false;
  readonly #pipe: BytePipe;
  readonly #side: 'inbound' | 'outbound';
  readonly #record: RecordedCall;
  #rechunking = false;

  constructor(pipe: BytePipe, side: 'inbound' | 'outbound', record: RecordedCall) {
    this.#pipe = pipe;
    this.#side = side;
    this.#record = record;
  }

  /** Forgets the answer before. */
  reset(): void {
    this.begun = false;
    this.closeAfter = false;
    this.#rechunking = false;
  }

  /** A 1xx; false if the caller is behind. */
  interim(head: ResponseHead, part: BodyPart, request: RequestHead): boolean {
    // RFC 9110 section 15.2: HTTP/1.0 knows no interim answers.
    return (
      request.minor === 0 || this.#pipe.write(serializeAnswer(head, part, INTERIM), giveBackScratch)
    );
  }

  /** The head with its first body bytes; false if the caller is behind. */
  head(head: ResponseHead, part: BodyPart, request: RequestHead, mayKeep: boolean): boolean {
    const untilClose = head.framing.kind === 'until_close';
    this.begun = true;
    this.#rechunking = untilClose && request.minor === 1;
    this.closeAfter = !mayKeep || request.upgrade !== '' || (untilClose && request.minor === 0);
    this.#record.status = head.status;
    const style = { side: this.#side, close: this.closeAfter, rechunk: this.#rechunking };
    const flowing = this.#pipe.write(serializeAnswer(head, part, style), giveBackScratch);
    if (this.#rechunking) return this.body(part);
    this.#record.bytesOut += part.end - part.start;
    return flowing;
  }

  /** More of the body; false if the caller is behind. */
  body(part: BodyPart): boolean {
    this.#record.bytesOut += part.end - part.start;
    if (!this.#rechunking) {
      return part.start === part.end || this.#pipe.writeLent(part.chunk, part.start, part.end);
    }
    const bytes = encodeChunk(part);
    return bytes.length === 0 || this.#pipe.write(bytes);
  }

  /** The 101 with which the connection switches to what `request` asked for. */
  switching(head: ResponseHead, request: RequestHead): void {
    this.begun = true;
    this.closeAfter = true;
    this.#record.status = head.status;
    const style = { side: this.#side, close: false, rechunk: false, switchTo: request.upgrade };
    this.#pipe.write(serializeAnswer(head, NO_PART, style), giveBackScratch);
  }
}
