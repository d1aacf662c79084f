import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { certificateChain, type LinkedCertificate } from '#lib';
import type { TlsMaterial } from './server.ts';
import { grpcDefinition } from './service.ts';

/** Where a gRPC server is and how to know it. */
export type GrpcTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'tls';
      /** `host:port` */
      readonly address: string;
      readonly rootsPem: readonly string[];
      /** Absent before enrolment. */
      readonly client?: Pick<TlsMaterial, 'chainPem' | 'privateKeyPem'>;
      /** Why this chain (DER, leaf first), which OpenSSL has verified, is not the server's; undefined if it is. */
      readonly verifyServer: (chain: readonly Uint8Array[]) => string | undefined;
    };

/** Typed calls to one service over one channel. */
export type GrpcClient = {
  readonly unary: <I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
    options?: { readonly timeoutMs?: number; readonly metadata?: Metadata },
  ) => Promise<MessageShape<O>>;
  readonly serverStream: <I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
    metadata?: Metadata,
  ) => ClientReadableStream<MessageShape<O>>;
  readonly bidi: <I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    metadata?: Metadata,
  ) => ClientDuplexStream<MessageShape<I>, MessageShape<O>>;
  readonly close: () => void;
};

const SERVER_NAME = 'palisade';
const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': 32 * 1024 * 1024,
  'grpc.keepalive_time_ms': 10_000,
  // Counters of each call and channel for a debugging service that we do not serve.
  'grpc.enable_channelz': 0,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
  // RFC 6066 section 3: no address may be sent as a server's name, and ours are known by their SPIFFE IDs.
  'grpc.ssl_target_name_override': SERVER_NAME,
};

/** Opens a lazy channel to `target`. Calls fail with grpc-js's `ServiceError` (its `code` is the gRPC status). */
export function createGrpcClient(service: DescService, target: GrpcTarget): GrpcClient {
  const address = target.kind === 'unix' ? `unix:${target.path}` : target.address;
  const channel = new Client(address, credentialsOf(target), CHANNEL_OPTIONS);
  return {
    unary(method, request, options = {}) {
      const { path, serialize, deserialize } = codecOf(service, method);
      const call: CallOptions = { deadline: Date.now() + (options.timeoutMs ?? 10_000) };
      return new Promise((resolve, reject) => {
        const done = (error: ServiceError | null, value?: unknown) =>
          error === null ? resolve(value as never) : reject(error);
        const message = create(method.input, request);
        if (options.metadata === undefined) {
          channel.makeUnaryRequest(path, serialize, deserialize, message as never, call, done);
        } else {
          channel.makeUnaryRequest(
            path,
            serialize,
            deserialize,
            message as never,
            options.metadata,
            call,
            done,
          );
        }
      });
    },
    serverStream(method, request, metadata) {
      const { path, serialize, deserialize } = codecOf(service, method);
      const message = create(method.input, request) as never;
      return (
        metadata === undefined
          ? channel.makeServerStreamRequest(path, serialize, deserialize, message)
          : channel.makeServerStreamRequest(path, serialize, deserialize, message, metadata)
      ) as never;
    },
    bidi(method, metadata) {
      const { path, serialize, deserialize } = codecOf(service, method);
      return (
        metadata === undefined
          ? channel.makeBidiStreamRequest(path, serialize, deserialize)
          : channel.makeBidiStreamRequest(path, serialize, deserialize, metadata)
      ) as never;
    },
    close: () => channel.close(),
  };
}

function codecOf(service: DescService, method: DescMethod) {
  const definition = grpcDefinition(service)[method.localName];
  if (definition === undefined) throw new Error(`no method ${method.name} in ${service.typeName}`);
  return {
    path: definition.path,
    serialize: definition.requestSerialize as (value: unknown) => Buffer,
    deserialize: definition.responseDeserialize as (bytes: Buffer) => unknown,
  };
}

/** How a connection to `target` is made without gRPC: as `createGrpcClient` makes its own. */
export function tlsClientOptions(target: GrpcTarget & { readonly kind: 'tls' }) {
  const { client, rootsPem } = target;
  return {
    ca: rootsPem.join('\n'),
    ...(client === undefined ? {} : { key: client.privateKeyPem, cert: client.chainPem }),
    servername: SERVER_NAME,
    checkServerIdentity: identityCheckOf(target),
  };
}

function credentialsOf(target: GrpcTarget): ChannelCredentials {
  if (target.kind === 'unix') return credentials.createInsecure();
  const { client } = target;
  return credentials.createSsl(
    Buffer.from(target.rootsPem.join('\n')),
    client === undefined ? null : Buffer.from(client.privateKeyPem),
    client === undefined ? null : Buffer.from(client.chainPem),
    { checkServerIdentity: identityCheckOf(target) },
  );
}

// SECURITY: names in certificates are SPIFFE IDs; the address we dialled proves nothing.
function identityCheckOf({ verifyServer }: GrpcTarget & { readonly kind: 'tls' }) {
  return (_host: string, certificate: LinkedCertificate): Error | undefined => {
    const problem = verifyServer(certificateChain(certificate));
    return problem === undefined ? undefined : new Error(problem);
  };
}
