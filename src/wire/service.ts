import {
  type DescMessage,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

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

const encoded = new WeakMap<object, Buffer>();

/** Encodes a message once for all the calls that send it, as long as it lives. INVARIANT: it is not changed any more. */
export function encodeOnce<T extends DescMessage>(schema: T, message: MessageShape<T>): void {
  encoded.set(message, encode(schema, message));
}

function encode<T extends DescMessage>(schema: T, message: MessageShape<T>): Buffer {
  const { buffer, byteOffset, byteLength } = toBinary(schema, message);
  return Buffer.from(buffer, byteOffset, byteLength);
}

function codec(side: 'request' | 'response', schema: DescMessage): Record<string, unknown> {
  return {
    [`${side}Serialize`]: (message: object) =>
      encoded.get(message) ?? encode(schema, message as never),
    [`${side}Deserialize`]: (bytes: Buffer) => fromBinary(schema, bytes),
  };
}
