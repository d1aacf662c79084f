import { status } from '@grpc/grpc-js';
import type { H2Fields, H2RequestHead } from '#protocol';

/** A gRPC status that is no success, with words for whoever called. */
export type CallRefusal = { readonly code: status; readonly details: string };

/** What a caller sent along with its call. */
export type CallMetadata = {
  /** Each value under a name in lower case, as it came. */
  readonly get: (name: string) => readonly string[];
};

/** The head of a call, read. */
export type CallHead = {
  /** `/SERVICE/METHOD` */
  readonly path: string;
  readonly metadata: CallMetadata;
  /** How messages with the flag are compressed; undefined or `identity`: not at all. */
  readonly encoding: string | undefined;
  /** How long the caller waits; undefined: without end. */
  readonly timeoutMs: number | undefined;
};

/** Why a request is no call that anybody answers: as an HTTP status, or as one of gRPC. */
export type BadHead =
  | { readonly kind: 'http'; readonly status: '405' | '415' }
  | { readonly kind: 'grpc'; readonly refusal: CallRefusal };

/** The fields of a response head. */
export const RESPONSE_HEAD: H2Fields = [':status', '200', 'content-type', 'application/grpc+proto'];
const OK_TRAILERS: H2Fields = ['grpc-status', '0'];
// PROTOCOL-HTTP2.md: `Timeout`, at most eight digits and a unit.
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** Reads what gRPC over HTTP/2 (PROTOCOL-HTTP2.md) has in a request's head. */
export function readCallHead(head: H2RequestHead | 'tooLarge'): CallHead | BadHead {
  if (head === 'tooLarge') return refused(status.RESOURCE_EXHAUSTED, 'the metadata is too large');
  if (head.method !== 'POST' || head.path === undefined) return { kind: 'http', status: '405' };
  const type = valueOf(head.fields, 'content-type') ?? '';
  // PROTOCOL-HTTP2.md: `application/grpc`, alone or with `+proto`; what else begins so is another type.
  if (!/^application\/grpc(?:$|[+;])/.test(type)) return { kind: 'http', status: '415' };
  const timeout = valueOf(head.fields, 'grpc-timeout');
  const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
  if (timeout !== undefined && timeoutMs === undefined) {
    return refused(status.INTERNAL, '`grpc-timeout` is malformed');
  }
  return {
    path: head.path,
    metadata: { get: (name) => valuesOf(head.fields, name) },
    encoding: valueOf(head.fields, 'grpc-encoding'),
    timeoutMs,
  };
}

/** The trailers that end a call, well or with a refusal. */
export function statusTrailers(refusal: CallRefusal | undefined): H2Fields {
  if (refusal === undefined) return OK_TRAILERS;
  const fields = ['grpc-status', String(refusal.code)];
  if (refusal.details !== '') fields.push('grpc-message', encodeMessageText(refusal.details));
  if (refusal.code === status.UNIMPLEMENTED) fields.push('grpc-accept-encoding', 'identity');
  return fields;
}

/** PROTOCOL-HTTP2.md, `Status-Message`: UTF-8, of which all but visible ASCII, and `%`, goes as `%XX`. */
function encodeMessageText(text: string): string {
  // A lone surrogate is no UTF-8: encodeURIComponent would throw.
  return text
    .toWellFormed()
    .replaceAll(/[^ -$&-~]+/g, (part) =>
      Array.from(
        Buffer.from(part),
        (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
      ).join(''),
    );
}

function parseTimeout(text: string): number | undefined {
  const [, digits, unit] = TIMEOUT.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * (UNIT_MS[unit ?? ''] ?? 0);
}

function refused(code: status, details: string): BadHead {
  return { kind: 'grpc', refusal: { code, details } };
}

function valueOf(fields: H2Fields, name: string): string | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1];
  return undefined;
}

function valuesOf(fields: H2Fields, name: string): readonly string[] {
  const found: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] === name) found.push(fields[at + 1] as string);
  }
  return found;
}
