// protocol: bytes ⇄ messages, pure. One folder a protocol; every reader is strict and bounded.
export { BodyReader } from './http1/body.ts';
export { FIELD, type FieldCode, type Fields, fieldSet } from './http1/fields.ts';
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
  canonicalPath,
  formatAuthority,
  parseAuthority,
} from './http1/target.ts';
export type { ClientHello, TlsGuess } from './tls-hello/messages.ts';
export { looksLikeTls, parseClientHello } from './tls-hello/parse.ts';
