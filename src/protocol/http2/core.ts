import type { Guard } from './guard.ts';
import type { H2Events, H2Limits, H2Reset, Http2Error } from './messages.ts';
import type { Sender } from './sender.ts';
import type { H2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** What the parts of one connection share. */
export type H2Core = {
  readonly isClient: boolean;
  readonly limits: H2Limits;
  readonly events: H2Events;
  readonly guard: Guard;
  readonly sender: Sender;
  readonly streams: StreamTable;
  /** A connection error (RFC 9113 section 5.4.1). */
  readonly fail: (code: number, error: Http2Error) => void;
  /** A stream error (RFC 9113 section 5.4.2): its owner is told. */
  readonly refuse: (stream: H2Stream, code: number, error: Http2Error) => void;
  /** Forgets a stream; its owner is told why where there is a reason. */
  readonly remove: (stream: H2Stream, reset: H2Reset | undefined) => void;
  /** Forgets a stream that both sides have ended. */
  readonly endIfOver: (stream: H2Stream) => void;
};
