// wire: what processes say to each other. The .proto files are the contract; gen/ is made of them by
// `npm run wire`; here are the server of gRPC, on our own HTTP/2, and the few helpers that put clients on grpc-js.
export {
  create as createMessage,
  fromBinary as decodeMessage,
  toBinary as encodeMessage,
} from '@bufbuild/protobuf';
export type { CallMetadata, CallRefusal } from './call-head.ts';
export type { GrpcService } from './call-server.ts';
export { createGrpcClient, type GrpcClient, type GrpcTarget } from './client.ts';
export * from './gen/distribution_pb.ts';
export * from './gen/ext_authz_pb.ts';
export * from './gen/host_pb.ts';
export * from './gen/issuance_pb.ts';
export * from './gen/revocation_pb.ts';
export * from './gen/sds_pb.ts';
export * from './gen/telemetry_pb.ts';
export * from './gen/workload_pb.ts';
export { ISSUE_CLIENT, ISSUE_SERVER } from './issue-protocol.ts';
export { loadOtlp, type Otlp } from './load-otlp.ts';
export {
  acceptMessageStream,
  type MessageFormat,
  type MessageStream,
  openMessageStream,
} from './message-stream.ts';
export { peerChain } from './peer-chain.ts';
export { PROCESS_STARTED_AT_MS } from './process-start.ts';
export { createGrpcServer, type GrpcServer, type TlsMaterial } from './server.ts';
export type { GrpcCall, Reply } from './server-call.ts';
export { encodeOnce, grpcDefinition } from './service.ts';
