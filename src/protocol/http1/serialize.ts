import { FIELD, type Fields, fieldSet } from './fields.ts';
import type { RequestHead, ResponseHead } from './messages.ts';

/** Fields that end at this hop: Connection, what it names, and what is hop-by-hop anyway. */
export const HOP_BY_HOP: number = fieldSet(
  FIELD.CONNECTION,
  FIELD.HOP,
  FIELD.UPGRADE,
  FIELD.NOMINATED,
);

/** The lines with which a hop asks for or agrees to a switch of protocols (RFC 9110 section 7.8). */
export function upgradeLines(protocol: string): string {
  return `connection: upgrade\r\nupgrade: ${protocol}\r\n`;
}

/** Everything to leave out of what an application or an outsider sent. */
export const HOP_AND_SIDECAR: number = HOP_BY_HOP | fieldSet(FIELD.PALISADE, FIELD.CLIENT_CERT);

/** What goes into a forwarded head besides the received fields. */
export type HeadChanges = {
  /** `fieldSet` of the fields to leave out. */
  readonly dropped: number;
  /** Whole field lines to add, each with its CRLF; ASCII. */
  readonly added: string;
  /** Body bytes to put behind the head in the same buffer: `body[bodyStart, bodyEnd)`. */
  readonly body: Buffer | undefined;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Where the bytes are to go; `Buffer.allocUnsafe` if absent. */
  readonly allocate?: (bytes: number) => Buffer;
};

/**
 * The request to forward, in origin-form: its line, the received fields less those dropped as they
 * came, those added, and the first body bytes. One buffer, so that it is one write.
 */
export function serializeRequest(head: RequestHead, changes: HeadChanges): Buffer {
  const { fields } = head;
  if (head.verbatim) return serialize(fields, fields.lineStart, '', changes);
  // An HTTP/1.0 request stays one, or its sender could get chunks that it cannot read.
  const line = `${head.method} ${head.target} HTTP/1.${head.minor}\r\n`;
  return serialize(fields, fields.fieldsStart, line, changes);
}

/**
 * The response to forward; its version becomes HTTP/1.1 (RFC 9110 section 2.5). A Content-Length
 * is dropped where the status allows none.
 */
export function serializeResponse(head: ResponseHead, changes: HeadChanges): Buffer {
  const { fields, status } = head;
  const lengthless = status < 200 || status === 204;
  const dropped = lengthless ? changes.dropped | NO_LENGTH : changes.dropped;
  const exact = dropped === changes.dropped ? changes : { ...changes, dropped };
  if (head.minor === 1) return serialize(fields, fields.lineStart, '', exact);
  return serialize(fields, fields.lineStart + VERSION_BYTES, 'HTTP/1.1', exact);
}

const NO_LENGTH = fieldSet(FIELD.CONTENT_LENGTH);
const VERSION_BYTES = 'HTTP/1.1'.length;
// Taken once: Node.js has a getter for `Buffer`, which each use of the name would call.
const { allocUnsafe } = Buffer;
const CRLF_BYTES = 2;

/** `write` without its dispatch; Node.js has it, its types do not. */
type Latin1Buffer = Buffer & { latin1Write: (text: string, offset: number) => number };

// Copies runs of kept lines: with nothing to drop or add in between, one run is the whole head with its end, and the body
// bytes too where they came behind it.
function serialize(fields: Fields, from: number, line: string, changes: HeadChanges): Buffer {
  const { added, body, bodyStart, bodyEnd } = changes;
  const headEnd = fields.fieldsEnd + CRLF_BYTES;
  const bodyLength = body === undefined ? 0 : bodyEnd - bodyStart;
  let size = line.length + (headEnd - from) + added.length + bodyLength;
  for (let index = 0; index < fields.count; index++) {
    if (isDropped(fields, index, changes)) size -= fields.end(index) - fields.start(index);
  }
  const out = (changes.allocate?.(size) ?? allocUnsafe(size)) as Latin1Buffer;
  let length = line === '' ? 0 : out.latin1Write(line, 0);
  let run = from;
  for (let index = 0; index < fields.count; index++) {
    if (!isDropped(fields, index, changes)) continue;
    const start = fields.start(index);
    if (start > run) length += fields.bytes.copy(out, length, run, start);
    run = fields.end(index);
  }
  if (added === '') {
    const isBodyBehind = body === fields.bytes && bodyStart === headEnd;
    length += fields.bytes.copy(out, length, run, isBodyBehind ? bodyEnd : headEnd);
    if (isBodyBehind) return out;
  } else {
    if (fields.fieldsEnd > run) length += fields.bytes.copy(out, length, run, fields.fieldsEnd);
    length += out.latin1Write(`${added}\r\n`, length);
  }
  if (body !== undefined) body.copy(out, length, bodyStart, bodyEnd);
  return out;
}

function isDropped(fields: Fields, index: number, { dropped }: HeadChanges): boolean {
  return ((dropped >> fields.code(index)) & 1) !== 0;
}
