import {
  type DescMessage,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { frameMessage } from './message-reader.ts';

/** grpc-js's description of a protobuf-es service: same paths, messages as protobuf-es objects. */
export function grpcDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream:
          method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        responseStream:
          method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        ...codec('request', method.input),
        ...codec('response', method.output),
      } as MethodDefinition<unknown, unknown>,
    ]),
  );
}

const framed = new WeakMap<object, Buffer>();

/**
 * Encodes a message once for all the calls of a server that send it. What is returned goes in its place to whatever sends it,
 * for as long as the caller keeps that, and is good for nothing else: the message itself need not be kept.
 */
export function encodeOnce<T extends DescMessage>(
  schema: T,
  message: MessageShape<T>,
): MessageShape<T> {
  const standIn = Object.freeze({ $typeName: schema.typeName }) as MessageShape<T>;
  framed.set(standIn, frameMessage(toBinary(schema, message)));
  return standIn;
}

/** A message as a server sends it, behind its prefix. */
export function encodeFrame(schema: DescMessage, message: object): Buffer {
  return framed.get(message) ?? frameMessage(toBinary(schema, message as never));
}

function codec(side: 'request' | 'response', schema: DescMessage): Record<string, unknown> {
  return {
    [`${side}Serialize`](message: object) {
      const { buffer, byteOffset, byteLength } = toBinary(schema, message as never);
      return Buffer.from(buffer, byteOffset, byteLength);
    },
    [`${side}Deserialize`]: (bytes: Buffer) => fromBinary(schema, bytes),
  };
}
