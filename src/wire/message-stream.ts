import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { type GrpcTarget, tlsClientOptions } from './client.ts';

/**
 * Messages both ways on a TLS connection of their own, each behind its length (4 bytes, big endian): for what is asked so
 * often that a stream of gRPC, which is there for all else, takes longer than what it carries. Which messages they are is
 * said by the connection's protocol (ALPN, RFC 7301).
 */
export type MessageFormat<In extends DescMessage, Out extends DescMessage> = {
  /** The name of the protocol, by which the two ends find each other on a port that speaks gRPC too. */
  readonly protocol: string;
  readonly receives: In;
  readonly sends: Out;
  /** SECURITY: a message that claims to be longer ends the connection before it is read. */
  readonly maxBytes: number;
};

/** One end of it. `error` comes once, with a gRPC status, and so does `end`; after either nothing comes any more. */
export type MessageStream<In, Out> = {
  readonly on: {
    (event: 'data', listener: (message: In) => void): unknown;
    (event: 'error', listener: (error: StreamError) => void): unknown;
    (event: 'drain' | 'end', listener: () => void): unknown;
  };
  /** False while the other end reads slowly: then `drain` follows. */
  readonly write: (message: Out) => boolean;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly isPaused: () => boolean;
  readonly end: () => void;
};

/** Why a stream broke, as a call of gRPC would say it. */
export type StreamError = { readonly code: status; readonly details: string };

const LENGTH_BYTES = 4;
const CONNECT_TIMEOUT_MS = 10_000;

/** Connects; what is written before the other end is known to be the right one waits until then. */
export function openMessageStream<In extends DescMessage, Out extends DescMessage>(
  target: GrpcTarget & { readonly kind: 'tls' },
  format: MessageFormat<In, Out>,
): MessageStream<MessageShape<In>, MessageShape<Out>> {
  const { hostname, port } = new URL(`tls://${target.address}`);
  const socket = connect({
    ...tlsClientOptions(target),
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port),
    minVersion: 'TLSv1.3',
    // A server of an earlier version takes the second one, instead of ending the handshake in words of its own.
    ALPNProtocols: [format.protocol, 'h2'],
  });
  const stream = new FramedStream(socket, format, false);
  const tooLate = setTimeout(() => stream.fail('no connection in time'), CONNECT_TIMEOUT_MS);
  socket.once('close', () => clearTimeout(tooLate));
  socket.once('secureConnect', () => {
    clearTimeout(tooLate);
    if (socket.alpnProtocol === format.protocol) stream.open();
    else stream.fail(`the server does not speak ${format.protocol}`, status.UNIMPLEMENTED);
  });
  return stream;
}

/** The server's end, on a connection whose protocol is `format.protocol`. */
export function acceptMessageStream<In extends DescMessage, Out extends DescMessage>(
  socket: Socket,
  format: MessageFormat<In, Out>,
): MessageStream<MessageShape<In>, MessageShape<Out>> {
  return new FramedStream(socket, format, true);
}

class FramedStream<In extends DescMessage, Out extends DescMessage>
  extends EventEmitter
  implements MessageStream<MessageShape<In>, MessageShape<Out>>
{
  readonly #socket: Socket;
  readonly #format: MessageFormat<In, Out>;
  #unread: Buffer = Buffer.alloc(0);
  #early: Buffer[] | undefined;
  #isPaused = false;
  #isOver = false;

  constructor(socket: Socket, format: MessageFormat<In, Out>, isOpen: boolean) {
    super();
    this.#socket = socket;
    this.#format = format;
    this.#early = isOpen ? undefined : [];
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('drain', () => this.emit('drain'));
    socket.on('error', (error) => this.fail(error.message));
    socket.on('close', () => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.emit('end');
    });
  }

  /** Sends what waited for the other end to be known. */
  open(): void {
    for (const frame of this.#early ?? []) this.#socket.write(frame);
    this.#early = undefined;
  }

  fail(details: string, code = status.UNAVAILABLE): void {
    this.#socket.destroy();
    if (this.#isOver) return;
    this.#isOver = true;
    this.emit('error', { code, details });
  }

  write(message: MessageShape<Out>): boolean {
    if (this.#isOver) return false;
    const body = toBinary(this.#format.sends, message);
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + body.length);
    frame.writeUInt32BE(body.length);
    frame.set(body, LENGTH_BYTES);
    if (this.#early === undefined) return this.#socket.write(frame);
    this.#early.push(frame);
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
    this.#read();
  }

  isPaused(): boolean {
    return this.#isPaused;
  }

  end(): void {
    this.#socket.end();
  }

  #take(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    this.#read();
  }

  #read(): void {
    while (!this.#isPaused && !this.#isOver && this.#unread.length >= LENGTH_BYTES) {
      const length = this.#unread.readUInt32BE();
      if (length > this.#format.maxBytes) return this.fail('a message is too long');
      const end = LENGTH_BYTES + length;
      if (this.#unread.length < end) return;
      const body = this.#unread.subarray(LENGTH_BYTES, end);
      this.#unread = this.#unread.subarray(end);
      const message = decoded(this.#format.receives, body);
      if (message === undefined) return this.fail('a message is malformed');
      this.emit('data', message);
    }
  }
}

function decoded<T extends DescMessage>(schema: T, bytes: Uint8Array): MessageShape<T> | undefined {
  try {
    return fromBinary(schema, bytes);
  } catch {
    // SECURITY: whatever it is, it is none of our messages.
    return undefined;
  }
}
