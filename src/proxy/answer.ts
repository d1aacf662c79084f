import {
  FIELD,
  fieldSet,
  HOP_AND_SIDECAR,
  HOP_BY_HOP,
  type ResponseHead,
  serializeResponse,
  upgradeLines,
} from '#protocol';
import { takeScratch } from './scratch.ts';

/** Body bytes `chunk[start, end)`, only lent, with which the message ends if `last`. */
export type BodyPart = {
  readonly chunk: Buffer;
  readonly start: number;
  readonly end: number;
  readonly last: boolean;
};

/** How a server's answer is passed on. */
export type AnswerStyle = {
  /** Who answers: the own application, or a peer's sidecar, which may speak for itself. */
  readonly side: 'inbound' | 'outbound';
  /** The caller's connection ends with this answer. */
  readonly close: boolean;
  /** The body ended with the server's connection; the caller gets it in chunks. */
  readonly rechunk: boolean;
  /** The protocol that a 101 switches to. */
  readonly switchTo?: string;
};

/**
 * The answer's head for the caller, with the first bytes of its body unless they are chunked anew; to be given to
 * `giveBackScratch` when it was written.
 */
export function serializeAnswer(head: ResponseHead, part: BodyPart, style: AnswerStyle): Buffer {
  const { chunk, start, end } = part;
  return serializeResponse(head, {
    dropped: style.side === 'inbound' ? HOP_AND_SIDECAR : FROM_SIDECAR,
    added:
      (style.switchTo === undefined ? '' : upgradeLines(style.switchTo)) +
      (style.close ? 'connection: close\r\n' : '') +
      (style.rechunk ? 'transfer-encoding: chunked\r\n' : ''),
    body: style.rechunk || start === end ? undefined : chunk,
    bodyStart: start,
    bodyEnd: end,
    allocate: takeScratch,
  });
}

/** The bytes of a part in a buffer of their own. */
export function copyPart({ chunk, start, end }: BodyPart): Buffer {
  return Buffer.from(chunk.subarray(start, end));
}

/** The part as a chunk (RFC 9112 section 7.1), with the last chunk behind it where it ends the body. */
export function encodeChunk(part: BodyPart): Buffer {
  const length = part.end - part.start;
  const end = Buffer.from(part.last ? '0\r\n\r\n' : '');
  if (length === 0) return end;
  const size = Buffer.from(`${length.toString(16)}\r\n`);
  return Buffer.concat([size, copyPart(part), CRLF, end]);
}

const CRLF = Buffer.from('\r\n');
// The peer's sidecar has stripped what its application said, so what remains is its own word.
const FROM_SIDECAR = HOP_BY_HOP | fieldSet(FIELD.CLIENT_CERT);
