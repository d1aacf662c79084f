// protocol: bytes ⇄ messages, pure. One folder a protocol; every reader is strict and bounded.
export { BodyReader } from './http1/body.ts';
export { ChunkDecoder } from './http1/chunk-decoder.ts';
export { encodeChunk, encodeLastChunk } from './http1/chunk-encoder.ts';
export {
  codeOfName,
  FIELD,
  type FieldCode,
  type FieldLookup,
  type Fields,
  fieldSet,
} from './http1/fields.ts';
export {
  DEFAULT_HEAD_LIMITS,
  type Framing,
  type HeadLimits,
  type HeadResult,
  HTTP1_ERRORS,
  type Http1Error,
  isSizeError,
  type RequestHead,
  type ResponseHead,
} from './http1/messages.ts';
export { type ConnectResult, parseConnect } from './http1/parse-connect.ts';
export { createRequestReader, type RequestReader } from './http1/parse-request.ts';
export {
  type AnsweredRequest,
  createResponseReader,
  type ResponseReader,
} from './http1/parse-response.ts';
export {
  type HeadChanges,
  HOP_AND_SIDECAR,
  HOP_BY_HOP,
  serializeRequest,
  serializeResponse,
  upgradeLines,
} from './http1/serialize.ts';
export {
  type Authority,
  formatAuthority,
  parseAuthority,
  readPath,
} from './http1/target.ts';
export { H2Connection, type H2Options } from './http2/connection.ts';
export { PREFACE as H2_PREFACE } from './http2/frames.ts';
export {
  DEFAULT_H2_LIMITS,
  H2_CODE,
  type H2Events,
  type H2Fields,
  type H2Limits,
  type H2RequestHead,
  type H2Reset,
  type H2ResponseHead,
  type H2StreamSink,
  HTTP2_ERRORS,
  type Http2Error,
} from './http2/messages.ts';
export { type H2Request, interpretRequest } from './http2/request.ts';
export type { H2Stream } from './http2/stream.ts';
export type { ProxyHeader, ProxyHeaderError } from './proxy-protocol/messages.ts';
export { parseProxyHeader } from './proxy-protocol/parse.ts';
export type { ClientHello, TlsGuess } from './tls-hello/messages.ts';
export { looksLikeTls, parseClientHello } from './tls-hello/parse.ts';
