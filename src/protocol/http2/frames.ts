/** What a client says first (RFC 9113 section 3.4). */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Bytes before each frame's payload (RFC 9113 section 4.1). */
export const FRAME_HEADER_BYTES = 9;

/** The largest payload either side sends: the initial SETTINGS_MAX_FRAME_SIZE. */
export const MAX_FRAME_BYTES = 16_384;

/** The largest flow-control window (RFC 9113 section 6.9.1). */
export const MAX_WINDOW = 0x7fff_ffff;

/** The window both sides begin with (RFC 9113 section 6.9.2). */
export const INITIAL_WINDOW = 65_535;

/** Frame types of RFC 9113 section 6. */
export const FRAME = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

/** Frame flags; `ACK` and `END_STREAM` share a bit, of different types. */
export const FLAG = {
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** Settings of RFC 9113 section 6.5.2. */
export const SETTING = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** A frame whose header was read; the payload is `bytes[start, end)`. */
export type Frame = {
  type: number;
  flags: number;
  streamId: number;
  bytes: Buffer;
  start: number;
  end: number;
};
