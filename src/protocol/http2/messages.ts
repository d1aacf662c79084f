import type { H2Stream } from './stream.ts';

/** Error codes of RFC 9113 section 7. */
export const H2_CODE = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

/**
 * Why a stream or connection was refused. Stable strings: they are counted as metric labels and
 * named in logs. RFC 9113 and 7541 unless a comment where the error is raised says otherwise.
 */
export const HTTP2_ERRORS = [
  'h2_bad_content_length',
  'h2_bad_field_name',
  'h2_bad_field_value',
  'h2_bad_frame_size',
  'h2_bad_padding',
  'h2_bad_preface',
  'h2_bad_pseudo_field',
  'h2_bad_setting',
  'h2_bad_stream_id',
  'h2_bad_trailers',
  'h2_body_length_mismatch',
  'h2_compression_error',
  'h2_connection_field',
  'h2_continuation_flood',
  'h2_empty_data_flood',
  'h2_flow_control_error',
  'h2_frame_on_closed_stream',
  'h2_headers_too_large',
  'h2_host_mismatch',
  'h2_malformed_request_flood',
  'h2_output_flood',
  'h2_ping_flood',
  'h2_priority_flood',
  'h2_push_promise',
  'h2_rapid_reset',
  'h2_refused_stream_flood',
  'h2_repeated_field',
  'h2_self_dependency',
  'h2_settings_flood',
  'h2_settings_timeout',
  'h2_stalled_stream',
  'h2_stream_limit',
  'h2_unexpected_continuation',
  'h2_unexpected_frame',
  'h2_unknown_frame_flood',
  'h2_window_overflow',
  'h2_window_update_flood',
  'h2_withdrawn_request',
  'h2_zero_window_update',
] as const;

/** One of `HTTP2_ERRORS`. */
export type Http2Error = (typeof HTTP2_ERRORS)[number];

/**
 * Field lines in order: name, value, name, value … without pseudo-header fields. Names are in lower
 * case; each character of a value is a byte. It may be kept.
 */
export type H2Fields = readonly string[];

/** A request that is well formed by RFC 9113 section 8; what its values mean is not looked at. */
export type H2RequestHead = {
  readonly method: string;
  /** Undefined for CONNECT alone. */
  readonly scheme: string | undefined;
  /** From `:authority`, else `Host`; they are equal where both came. */
  readonly authority: string | undefined;
  /** Undefined for CONNECT alone. */
  readonly path: string | undefined;
  /** Without `Host`. */
  readonly fields: H2Fields;
  /** Bytes as Content-Length has them, or -1. */
  readonly contentLength: number;
};

/** A response that is well formed by RFC 9113 section 8. */
export type H2ResponseHead = {
  /** 100 to 599. */
  readonly status: number;
  readonly fields: H2Fields;
  readonly contentLength: number;
};

/** How a stream ended before both sides were done. */
export type H2Reset = {
  /** An error code of RFC 9113 section 7. */
  readonly code: number;
  /** Who ended it: the peer by RST_STREAM, we because of what it sent, or the whole connection. */
  readonly origin: 'peer' | 'refused' | 'connection';
  /** INVARIANT: true only where the peer said, or cannot but have, that it did not process it. */
  readonly unprocessed: boolean;
  /** Why it was refused, where that was us. */
  readonly error: Http2Error | undefined;
};

/**
 * What a stream's owner hears. Bytes are only lent: whoever needs them after returning copies them.
 * After `onReset`, or once both sides have ended, nothing more is told.
 */
export type H2StreamSink = {
  /** Client side: the response, after interim ones (1xx). */
  readonly onResponse?: (head: H2ResponseHead, isEnd: boolean) => void;
  /** Body bytes `chunk[start, end)`; `H2Connection.credit` lets the peer send as many again. */
  readonly onData: (chunk: Buffer, start: number, end: number, isEnd: boolean) => void;
  /** The message ends with these. */
  readonly onTrailers: (fields: H2Fields) => void;
  readonly onReset: (reset: H2Reset) => void;
  /** All that `sendData` took has gone to the output: more may be sent. */
  readonly onDrain: () => void;
};

/** What the owner of a connection hears. */
export type H2Events = {
  /** There is output where there was none: `takeOutput` soon. */
  readonly onOutput: () => void;
  /** Something was refused: to be counted. `connection`: `failed` is set, nothing more is read. */
  readonly onRefused: (error: Http2Error, scope: 'stream' | 'connection') => void;
  /**
   * Server: a request. Returns who hears what follows on its stream. `tooLarge`: its fields were
   * over the limit and are unknown; it should be answered with 431.
   */
  readonly onRequest?: (
    stream: H2Stream,
    head: H2RequestHead | 'tooLarge',
    isEnd: boolean,
  ) => H2StreamSink;
  /** The peer opens and accepts no more streams; those it accepted go on. */
  readonly onGoaway?: (code: number) => void;
  /** The answer to `ping`. */
  readonly onPong?: () => void;
  /** A stream is over, however it ended: there may be room for another one. */
  readonly onStreamOver?: (stream: H2Stream) => void;
};

/** What a connection holds against its peer. */
export type H2Limits = {
  /** Streams the peer may have open at once. */
  readonly maxStreams: number;
  /** Bytes a stream's peer may send before it gets credit; a server's not less than 65,535. */
  readonly streamWindow: number;
  /** The window of a stream from which something was used up: it moves, so it may have more. */
  readonly grownStreamWindow: number;
  /** Bytes of all streams together that may be in flight; not less than 65,535. */
  readonly connectionWindow: number;
  /** Names and values with 32 each, as RFC 9113 section 6.5.2 counts. */
  readonly maxFieldBytes: number;
  readonly maxFields: number;
  /** Bytes that `takeOutput` gathers at most, but for one frame; control frames may go past it. */
  readonly maxGatherBytes: number;
  /** Streams the peer may reset at once, and again each second, beyond those it brought to an end. */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** Server: requests, be they refused, after which `receive` leaves the rest of a chunk to be read later. */
  readonly requestsPerRead: number;
  /** Frames after which it does so, whatever they are. */
  readonly framesPerRead: number;
};

/** 100 streams, windows of 64 KiB (256 once used) and 1 MiB, 64 KiB of 128 fields, output in pieces of 128 KiB. */
export const DEFAULT_H2_LIMITS: H2Limits = {
  maxStreams: 100,
  streamWindow: 65_535,
  grownStreamWindow: 256 * 1024,
  connectionWindow: 1024 * 1024,
  maxFieldBytes: 64 * 1024,
  maxFields: 128,
  maxGatherBytes: 128 * 1024 - 17 * 1024,
  resetBurst: 200,
  resetsPerSecond: 50,
  requestsPerRead: Number.POSITIVE_INFINITY,
  framesPerRead: Number.POSITIVE_INFINITY,
};
