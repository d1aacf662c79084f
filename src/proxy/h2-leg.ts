import type { CallFacts } from './record.ts';
import type { FailureKind } from './respond.ts';
import type { TlsPeer } from './tls-peer.ts';

/** What the server's side of an HTTP/2 call tells the call. Bytes are only lent. */
export type LegSink = {
  /** A response head, `fields` without `:status`; interim ones (1xx) come before the final one. */
  readonly onAnswer: (status: number, fields: readonly string[], isEnd: boolean) => void;
  readonly onAnswerData: (chunk: Buffer, start: number, end: number, isEnd: boolean) => void;
  /** The answer ends with these. */
  readonly onAnswerTrailers: (fields: readonly string[]) => void;
  /** More of the request may be sent. */
  readonly onLegDrain: () => void;
  /**
   * The server broke off; nothing comes any more. `unprocessed`: it cannot have acted on the request.
   */
  readonly onLegFailure: (detail: string, unprocessed: boolean) => void;
};

/** The server's side of one HTTP/2 call: a stream of an HTTP/2 connection, or an HTTP/1.1 one. */
export type Leg = {
  /** The server, where it was reached over TLS. */
  readonly secure: TlsPeer | undefined;
  /** Records' constant part for calls over it; undefined where the caller's side has it. */
  readonly facts: CallFacts | undefined;
  /** Why the other end of a tunnel would not have its connection, where that ended it. */
  readonly refused?: FailureKind | undefined;
  /** Sends body bytes that are only lent; false if more should wait for `onLegDrain`. */
  readonly sendData: (chunk: Buffer, start: number, end: number, isEnd: boolean) => boolean;
  readonly sendTrailers: (fields: readonly string[]) => void;
  /** That many bytes of the answer were taken. */
  readonly credit: (bytes: number) => void;
  /** Nobody wants the answer any more; the sink hears nothing. */
  readonly cancel: () => void;
};

/** The tries of one call to reach a server. */
export type Tries = {
  /** How long one of them may take, in milliseconds; undefined for as long as the call. */
  readonly perTryMs: number | undefined;
  /** The one under way took too long; whether another one has begun. */
  readonly expire: () => boolean;
};

/** A request to send, by either version of HTTP. */
export type OutgoingRequest = {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  /** To be sent besides the pseudo-header fields: name, value, name, value … */
  readonly fields: readonly string[];
  /** Bytes as Content-Length has them, or -1. */
  readonly contentLength: number;
  /** There is no body. */
  readonly isEnd: boolean;
};
