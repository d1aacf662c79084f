// A client of gRPC over HTTP/2 on a Unix socket that does no more than it must: requests are bytes made ahead, answers are
// cut at their frames. So what a benchmark measures is the server, not the client's library.
import { once } from 'node:events';
import { connect } from 'node:net';

/** One connection. */
export type ByteClient = {
  /** The first message of a stream, which is then cancelled. Both calls reject where no message comes. */
  readonly first: (path: string, request: Uint8Array) => Promise<Buffer>;
  /** The message of a unary call, once its status came too. */
  readonly unary: (path: string, request: Uint8Array) => Promise<Buffer>;
  readonly close: () => void;
};

// RFC 9113 section 6.
const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 };
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
// The error code CANCEL (section 7).
const CANCEL = Buffer.from([0, 0, 0, 8]);
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const MAX_WINDOW = 0x7fff_ffff - 65_535;

type Waiting = {
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: Error) => void;
  readonly isUnary: boolean;
  body: Buffer;
};

/** Connects and says what a client has to say first. */
export async function connectBytes(socketPath: string): Promise<ByteClient> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  const calls = new Map<number, Waiting>();
  let next = 1;
  let unread: Buffer = Buffer.alloc(0);
  const window = Buffer.alloc(4);
  window.writeUInt32BE(MAX_WINDOW);
  socket.write(
    Buffer.concat([
      Buffer.from(PREFACE),
      frame(FRAME.settings, 0, 0, Buffer.alloc(0)),
      frame(FRAME.windowUpdate, 0, 0, window),
    ]),
  );

  function take(kind: number, flags: number, stream: number, body: Buffer): void {
    const isAsked = (flags & ACK) === 0;
    if (kind === FRAME.settings && isAsked) socket.write(frame(kind, ACK, 0, Buffer.alloc(0)));
    if (kind === FRAME.ping && isAsked) socket.write(frame(kind, ACK, 0, body));
    const call = calls.get(stream);
    if (call === undefined) return;
    if (kind === FRAME.data) call.body = Buffer.concat([call.body, body]);
    const message = messageIn(call.body);
    const isOver = kind === FRAME.reset || (kind === FRAME.headers && (flags & END_STREAM) !== 0);
    if (!isOver && (call.isUnary || message === undefined)) return;
    calls.delete(stream);
    if (message === undefined) call.reject(new Error('the call ended without a message'));
    else call.resolve(message);
    if (!isOver) socket.write(frame(FRAME.reset, 0, stream, CANCEL));
  }

  function ask(path: string, request: Uint8Array, isUnary: boolean): Promise<Buffer> {
    const stream = next;
    next += 2;
    const bytes = Buffer.concat([
      frame(FRAME.headers, END_HEADERS, stream, headersOf(path)),
      frame(FRAME.data, END_STREAM, stream, enveloped(request)),
    ]);
    return new Promise((resolve, reject) => {
      calls.set(stream, { resolve, reject, isUnary, body: Buffer.alloc(0) });
      socket.write(bytes);
    });
  }

  socket.on('data', (chunk: Buffer) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    while (unread.length >= 9) {
      const end = 9 + unread.readUIntBE(0, 3);
      if (unread.length < end) break;
      const stream = unread.readUInt32BE(5) & 0x7fff_ffff;
      take(unread[3] ?? 0, unread[4] ?? 0, stream, unread.subarray(9, end));
      unread = unread.subarray(end);
    }
  });
  socket.on('close', () => {
    for (const { reject } of calls.values()) reject(new Error('the connection is closed'));
  });
  return {
    first: (path, request) => ask(path, request, false),
    unary: (path, request) => ask(path, request, true),
    close: () => socket.destroy(),
  };
}

/** The message in what has come of a body; undefined while it is not whole. */
function messageIn(body: Buffer): Buffer | undefined {
  if (body.length < 5) return undefined;
  const end = 5 + body.readUInt32BE(1);
  return body.length < end ? undefined : body.subarray(5, end);
}

function frame(kind: number, flags: number, stream: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + body.length);
  bytes.writeUIntBE(body.length, 0, 3);
  bytes[3] = kind;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  bytes.set(body, 9);
  return bytes;
}

/** gRPC's length-prefixed message, not compressed. */
function enveloped(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

const known = new Map<string, Buffer>();

/** RFC 7541: `:method POST` and `:scheme http` by their index, all else as literals that are not indexed. */
function headersOf(path: string): Buffer {
  const before = known.get(path);
  if (before !== undefined) return before;
  const bytes = Buffer.concat([
    Buffer.from([0x83, 0x86, 0x04]),
    text(path),
    Buffer.from([0x01]),
    text('localhost'),
    ...[
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['workload.spiffe.io', 'true'],
    ].flatMap(([name = '', value = '']) => [Buffer.from([0]), text(name), text(value)]),
  ]);
  known.set(path, bytes);
  return bytes;
}

/** A string literal of less than 127 bytes, without Huffman's code. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}
