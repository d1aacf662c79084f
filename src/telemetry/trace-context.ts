import { randomFillSync } from 'node:crypto';

/** A caller's place in a trace (W3C Trace Context, `traceparent`). */
export type TraceParent = {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly parentId: string;
  readonly isSampled: boolean;
};

const VERSION_00 = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** `00-` trace id `-` parent id `-01`. */
const PLAIN_CHARS = 55;
const TRACE_AT = 3;
const PARENT_AT = 36;
const HYPHEN = 0x2d;
const ZERO = 0x30;
/** Random bytes for some two dozen calls. As text they stay alive with the last ID cut out of them, so they are few. */
const POOL_BYTES = 512;
const TRACE_ID_CHARS = 32;
const SPAN_ID_CHARS = 16;

/** Parses a `traceparent` header's value (W3C Trace Context 3.2); undefined if it is not one, and a new trace begins. */
export function parseTraceparent(value: string): TraceParent | undefined {
  return parsePlain(value) ?? parseAny(value);
}

/** What nearly all callers send, told without an expression: version 00, sampled or not. */
function parsePlain(value: string): TraceParent | undefined {
  if (value.length !== PLAIN_CHARS || !value.startsWith('00-')) return undefined;
  const isPlain = value.endsWith('-01') || value.endsWith('-00');
  if (!isPlain || value.charCodeAt(PARENT_AT - 1) !== HYPHEN) return undefined;
  // One that is all zeros, or begins so, is for the other reader to judge.
  if (value.startsWith('0000', TRACE_AT) || value.startsWith('0000', PARENT_AT)) return undefined;
  for (let i = TRACE_AT; i < PLAIN_CHARS - 3; i++) {
    if (i !== PARENT_AT - 1 && !isHex(value.charCodeAt(i))) return undefined;
  }
  return {
    traceId: value.slice(TRACE_AT, PARENT_AT - 1),
    parentId: value.slice(PARENT_AT, PLAIN_CHARS - 3),
    isSampled: value.endsWith('1'),
  };
}

function isHex(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
}

function parseAny(value: string): TraceParent | undefined {
  const match = value.length > 512 ? null : VERSION_00.exec(value);
  if (match === null) return undefined;
  const [, version, traceId = '', parentId = '', flags = '', rest] = match;
  // 3.2.2: version ff is invalid; only a later version may have more fields.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  // 3.2.2.3, 3.2.2.4: all zeros is invalid.
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Writes the header that passes a trace on, `spanId` being the new parent. */
export function formatTraceparent(traceId: string, spanId: string, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

/** Random IDs in hex. */
export type TraceIds = { readonly traceId: () => string; readonly spanId: () => string };

/** Creates a source of IDs that makes text of randomness once in some dozen IDs: each is a part of it, and no copy. */
export function createTraceIds(fill: (pool: Buffer) => void = randomFillSync): TraceIds {
  const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  let text = '';
  let used = 0;
  function next(chars: number): string {
    if (used + chars > text.length) {
      fill(pool);
      text = pool.toString('hex');
      used = 0;
    }
    used += chars;
    const id = text.slice(used - chars, used);
    // All zeros is no valid ID.
    return id.charCodeAt(0) !== ZERO || /[^0]/.test(id) ? id : next(chars);
  }
  return { traceId: () => next(TRACE_ID_CHARS), spanId: () => next(SPAN_ID_CHARS) };
}
