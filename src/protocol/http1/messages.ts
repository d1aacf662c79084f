import type { Fields } from './fields.ts';

/**
 * Why a message is refused. Stable strings: they are counted as metric labels and named in logs.
 * RFC 9112 and 9110 unless a comment where the error is raised says otherwise.
 */
export const HTTP1_ERRORS = [
  'bad_chunk_data',
  'bad_chunk_extension',
  'bad_chunk_size',
  'bad_connection',
  'bad_content_length',
  'bad_expect',
  'bad_field_name',
  'bad_field_value',
  'bad_host',
  'bad_method',
  'bad_path',
  'bad_percent_encoding',
  'bad_request_line',
  'bad_status_line',
  'bad_target',
  'bad_trailer',
  'bad_transfer_encoding',
  'bad_upgrade',
  'bad_version',
  'bare_cr',
  'bare_lf',
  'connect_refused',
  'content_length_with_transfer_encoding',
  'empty_field_name',
  'field_without_colon',
  'forbidden_body',
  'forbidden_connection_option',
  'forbidden_trailer',
  'head_too_large',
  'host_mismatch',
  'missing_host',
  'obs_fold',
  'repeated_content_length',
  'repeated_field',
  'repeated_host',
  'repeated_transfer_encoding',
  'space_before_colon',
  'target_too_long',
  'too_many_fields',
  'trailers_too_large',
  'upgrade_unasked',
] as const;

/** One of `HTTP1_ERRORS`. */
export type Http1Error = (typeof HTTP1_ERRORS)[number];

/** Whether the error is a size over its limit (`too_large`, 431) and not a malformed message (400). */
export function isSizeError(error: Http1Error): boolean {
  return (
    error === 'head_too_large' ||
    error === 'too_many_fields' ||
    error === 'target_too_long' ||
    error === 'trailers_too_large'
  );
}

/** How the end of a body is found (RFC 9112 section 6). `length` is in bytes and safe to add up. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until_close' };

/** Bounds of a head; going over one is an error for which `isSizeError` holds. */
export type HeadLimits = {
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  readonly maxTargetBytes: number;
};

/** 64 KiB of head, 128 fields, 16 KiB of request target. */
export const DEFAULT_HEAD_LIMITS: HeadLimits = {
  maxHeadBytes: 64 * 1024,
  maxFields: 128,
  maxTargetBytes: 16 * 1024,
};

/**
 * A request head that passed every check. It refers to the bytes it was read from and to its
 * reader's field table, so it is valid until the reader is given the next head.
 */
export type RequestHead = {
  readonly kind: 'head';
  readonly method: string;
  /** Canonical path without query: starts with `/`, or is `*` for `OPTIONS *`. */
  readonly path: string;
  /** What is forwarded: the canonical path and the query as it came, in origin-form. */
  readonly target: string;
  /** The target came in absolute-form, as clients send it to a forward proxy. */
  readonly absolute: boolean;
  /** Authority in lower case without trailing dot, with its port where one was given. */
  readonly host: string;
  /** The Host field can be copied as it came, since it is canonical already. */
  readonly isHostVerbatim: boolean;
  /** 0 or 1, of HTTP/1.x. */
  readonly minor: 0 | 1;
  readonly framing: Framing;
  readonly keepAlive: boolean;
  readonly expectContinue: boolean;
  /**
   * The protocol that the request asks to switch to, in lower case, e.g. `websocket`; empty for none
   * and for an offer of `h2c`, which may be ignored (RFC 9110 section 7.8).
   */
  readonly upgrade: string;
  readonly fields: Fields;
  /** Bytes of the last chunk given to the reader that belong to the head. */
  readonly consumed: number;
  /** The request line can be copied as it came, since it is canonical already. */
  readonly verbatim: boolean;
};

/** A response head that passed every check; valid as long as a `RequestHead` is. */
export type ResponseHead = {
  readonly kind: 'head';
  readonly status: number;
  readonly minor: 0 | 1;
  readonly framing: Framing;
  /** The connection may serve another request after this response. */
  readonly keepAlive: boolean;
  /** 1xx other than 101: another head follows for the same request. */
  readonly interim: boolean;
  /** 101 to the protocol asked for: what follows is that protocol's, both ways. */
  readonly switched: boolean;
  readonly fields: Fields;
  /** Bytes of the last chunk given to the reader that belong to the head. */
  readonly consumed: number;
};

/** What a reader says after a chunk: it needs more, refuses, or has a head. */
export type HeadResult<Head> =
  | { readonly kind: 'more' }
  | { readonly kind: 'refuse'; readonly error: Http1Error }
  | Head;
