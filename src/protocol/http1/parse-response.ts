import { CLASS, CR, VALUE } from './characters.ts';
import { readConnection } from './connection.ts';
import { equalsText } from './fields.ts';
import { HeadLines } from './head-lines.ts';
import {
  DEFAULT_HEAD_LIMITS,
  type Framing,
  type HeadLimits,
  type HeadResult,
  type Http1Error,
  type ResponseHead,
} from './messages.ts';

/** What of a request decides how its response reads. */
export type AnsweredRequest = {
  /** A response to HEAD has no body. */
  readonly method: string;
  /** The protocol it asks to switch to, in lower case; empty for none. */
  readonly upgrade: string;
};

/** Reads the response heads of one connection, one after another. */
export type ResponseReader = {
  /**
   * Reads on in `chunk` from `from`, the answer to `request`. After `refuse` the reader is of no
   * further use.
   */
  readonly read: (
    chunk: Buffer,
    from: number,
    request: AnsweredRequest,
  ) => HeadResult<ResponseHead>;
  /** Whether part of a head has been read. */
  readonly partial: () => boolean;
};

/** Creates the strict reader of the responses of a connection (RFC 9112 sections 4 and 6.3). */
export function createResponseReader(limits: HeadLimits = DEFAULT_HEAD_LIMITS): ResponseReader {
  const line = { status: 0, minor: 1 as 0 | 1 };
  const lines = new HeadLines(limits, limits.maxTargetBytes, (bytes, start, end) =>
    readStatusLine(line, bytes, start, end),
  );
  return {
    read(chunk, from, request) {
      const outcome = lines.read(chunk, from);
      if (outcome === false) return MORE;
      const head = outcome === true ? finish(lines, line, request) : outcome;
      return typeof head === 'string' ? { kind: 'refuse', error: head } : head;
    },
    partial: () => lines.partial,
  };
}

type StatusLine = { status: number; minor: 0 | 1 };

const MORE = { kind: 'more' } as const;
const NO_BODY: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const UNTIL_CLOSE: Framing = { kind: 'until_close' };

// `HTTP/1.1 200 OK`; the last space may be missing, as many servers leave it out with the reason.
function readStatusLine(
  line: StatusLine,
  bytes: Buffer,
  start: number,
  end: number,
): Http1Error | undefined {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (((CLASS[byte] as number) & VALUE) === 0) return byte === CR ? 'bare_cr' : 'bad_status_line';
  }
  const versionEnd = Math.min(end, start + 9);
  const isHttp11 = equalsText(bytes, start, versionEnd, 'HTTP/1.1 ');
  if (!isHttp11 && !equalsText(bytes, start, versionEnd, 'HTTP/1.0 ')) {
    const isHttp = equalsText(bytes, start, Math.min(end, start + 5), 'HTTP/');
    return isHttp ? 'bad_version' : 'bad_status_line';
  }
  line.minor = isHttp11 ? 1 : 0;
  if (end - start < 12 || (end - start > 12 && bytes[start + 12] !== 0x20))
    return 'bad_status_line';
  let status = 0;
  for (let at = start + 9; at < start + 12; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return 'bad_status_line';
    status = status * 10 + digit;
  }
  line.status = status;
  return status < 100 || status > 599 ? 'bad_status_line' : undefined;
}

function finish(
  lines: HeadLines,
  line: StatusLine,
  request: AnsweredRequest,
): ResponseHead | Http1Error {
  const { fields, summary } = lines;
  const { status, minor } = line;
  if (summary.chunked && summary.contentLength >= 0) return 'content_length_with_transfer_encoding';
  if (summary.chunked && minor === 0) return 'bad_transfer_encoding';
  const bare = status < 200;
  // RFC 9110 section 8.6 and RFC 9112 section 6.1: neither 1xx nor 204 announce a body. A length of
  // 0 is harmless and common; anything else is a desynchronised server.
  if ((bare || status === 204) && (summary.chunked || summary.contentLength > 0)) {
    return 'forbidden_body';
  }
  const connectionError = summary.connection ? readConnection(fields, summary) : undefined;
  if (connectionError !== undefined) return connectionError;
  const switched = status === 101;
  if (switched && !isAgreed(lines, minor, request.upgrade)) return 'upgrade_unasked';
  const bodiless = bare || status === 204 || status === 304 || request.method === 'HEAD';
  const framing = bodiless ? NO_BODY : responseFraming(summary.chunked, summary.contentLength);
  const persistent = minor === 1 ? !summary.close : summary.keepAlive;
  return {
    kind: 'head',
    status,
    minor,
    framing,
    keepAlive: persistent && framing !== UNTIL_CLOSE && !switched,
    interim: bare && !switched,
    switched,
    fields,
    consumed: lines.consumed,
  };
}

// RFC 9110 section 7.8: 101 names the one protocol that was asked for. SECURITY: a server that switches
// to something else, or unasked, could feed its caller what nobody reads as an answer.
function isAgreed({ fields, summary }: HeadLines, minor: 0 | 1, asked: string): boolean {
  if (asked === '' || minor === 0 || summary.upgradeIndex < 0) return false;
  return summary.upgradeOption && fields.valueAt(summary.upgradeIndex).toLowerCase() === asked;
}

function responseFraming(chunked: boolean, contentLength: number): Framing {
  if (chunked) return CHUNKED;
  if (contentLength < 0) return UNTIL_CLOSE;
  return contentLength === 0 ? NO_BODY : { kind: 'length', length: contentLength };
}
