import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { ConsultRequest } from '#proxy';
import { type CheckRequest, CheckRequestSchema, CheckResponseSchema } from '#wire';
import { type ProviderClient, ProviderError } from './provider-client.ts';

const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';
const MAX_ANSWER_BYTES = 64 * 1024;
const { HTTP2_HEADER_PATH, HTTP2_HEADER_METHOD, HTTP2_HEADER_STATUS, NGHTTP2_CANCEL } = constants;

/** Envoy's ext_authz over gRPC: one HTTP/2 connection, a stream a question. A status code of 0 means yes. */
export class GrpcProvider implements ProviderClient {
  #session: Promise<ClientHttp2Session> | undefined;

  async ask(request: ConsultRequest, signal: AbortSignal): Promise<'allow' | 'deny'> {
    const frame = frameOf(checkRequestOf(request));
    const isKept = this.#session !== undefined;
    const first = exchange(await this.#connected(request), frame, signal);
    const answer = await first.catch(async (error: unknown) => {
      // A kept connection may be closed just when it is used: once more, on a new one.
      if (!isKept || !isUnreachable(error) || signal.aborted) throw error;
      this.#session = undefined;
      return exchange(await this.#connected(request), frame, signal);
    });
    const { status } = decode(answer);
    // SECURITY: Envoy reads an absent status as 0; here whoever says nothing has not said yes.
    if (status === undefined) throw new ProviderError('bad_answer');
    return status.code === 0 ? 'allow' : 'deny';
  }

  close(): void {
    this.#session?.then(
      (session) => session.destroy(),
      () => {
        // There never was one.
      },
    );
  }

  #connected(request: ConsultRequest): Promise<ClientHttp2Session> {
    this.#session ??= this.#connect(request).catch((error: unknown) => {
      this.#session = undefined;
      throw error;
    });
    return this.#session;
  }

  async #connect(request: ConsultRequest): Promise<ClientHttp2Session> {
    const stream: Duplex = await request.connect();
    const session = connectHttp2('http://provider', {
      createConnection: () => stream,
      maxHeaderListPairs: 64,
    });
    const forget = (): void => {
      this.#session = undefined;
    };
    session.on('error', forget);
    session.on('goaway', forget);
    session.on('close', forget);
    return session;
  }
}

function exchange(
  session: ClientHttp2Session,
  frame: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (session.closed || session.destroyed) return reject(new ProviderError('unreachable'));
    const stream = session.request({
      [HTTP2_HEADER_METHOD]: 'POST',
      [HTTP2_HEADER_PATH]: CHECK_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let grpcStatus: string | undefined;
    let httpStatus = 0;
    const fail = (word: string): void => {
      stream.close(NGHTTP2_CANCEL);
      reject(new ProviderError(word));
    };
    signal.addEventListener('abort', () => fail('timeout'), { once: true });
    stream.on('response', (headers) => {
      httpStatus = Number(headers[HTTP2_HEADER_STATUS]);
      // An answer without messages carries its status here.
      grpcStatus = text(headers['grpc-status']) ?? grpcStatus;
    });
    stream.on('trailers', (trailers) => {
      grpcStatus = text(trailers['grpc-status']) ?? grpcStatus;
    });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) fail('too_large');
      else chunks.push(chunk);
    });
    stream.on('error', () => reject(new ProviderError('unreachable')));
    stream.on('close', () => {
      if (httpStatus === 0) reject(new ProviderError('unreachable'));
      else if (httpStatus !== 200 || grpcStatus !== '0') reject(new ProviderError('failed'));
      else resolve(Buffer.concat(chunks));
    });
    stream.end(frame);
  });
}

function isUnreachable(error: unknown): boolean {
  return error instanceof ProviderError && error.word === 'unreachable';
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** gRPC over HTTP/2, "Length-Prefixed-Message": not compressed, four bytes of length, the message. */
function frameOf(message: CheckRequest): Buffer {
  const bytes = toBinary(CheckRequestSchema, message);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function decode(frame: Buffer) {
  const isWhole = frame.length >= 5 && frame[0] === 0 && frame.readUInt32BE(1) === frame.length - 5;
  if (!isWhole) throw new ProviderError('bad_answer');
  try {
    return fromBinary(CheckResponseSchema, frame.subarray(5));
  } catch {
    // Bytes that are no message of that kind.
    throw new ProviderError('bad_answer');
  }
}

function checkRequestOf({ question, headers }: ConsultRequest): CheckRequest {
  const { source, destination, request, connection } = question;
  const seconds = BigInt(Math.floor(question.nowMs / 1000));
  return create(CheckRequestSchema, {
    attributes: {
      source: {
        address: { socketAddress: { address: source.ip } },
        principal: source.id?.text ?? '',
      },
      destination: {
        address: { socketAddress: { address: destination.ip ?? '', portValue: destination.port } },
      },
      request: {
        time: { seconds },
        ...(request && {
          http: {
            method: request.method,
            path: request.path,
            host: request.host,
            scheme: 'http',
            size: -1n,
            headers: headerMap(headers),
          },
        }),
      },
      tlsSession: { sni: connection.sni ?? '' },
    },
  });
}

function headerMap(headers: ConsultRequest['headers']): Record<string, string> {
  return Object.fromEntries(
    headers.names.map((name) => [name, headers.values(name).join(',')] as const),
  );
}
