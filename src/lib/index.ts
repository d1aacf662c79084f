// lib: small tools without I/O, clock or log that every layer may use.
export { type Backoff, type BackoffOptions, createBackoff } from './backoff.ts';
export {
  canonicalPath,
  PATH_NORMALIZATIONS,
  type PathNormalization,
  type PathProblem,
} from './canonical-path.ts';
export { certificateChain, type LinkedCertificate } from './certificate-chain.ts';
export { type Cidr, cidrContains, parseCidr, parseIp } from './cidr.ts';
export { formatDuration, parseDuration } from './duration.ts';
export { createFlooredClock, type FlooredClock } from './floored-clock.ts';
export { originalAddress } from './forwarded-for.ts';
export { inUtc } from './in-utc.ts';
export { type DiffLine, lineDiff } from './line-diff.ts';
export { type Cell, createCell, type Source } from './observable.ts';
export { PORT_PROTOCOLS, type PortProtocol, trafficOf } from './port-protocol.ts';
export { RECORD_FIELDS } from './record-fields.ts';
export {
  isSecretHeader,
  type RedactOptions,
  redactionOf,
  redactText,
  SECRET_KINDS,
  type SecretKind,
} from './redact.ts';
export { type PathTemplate, redactPath, type TemplateSegment } from './redact-path.ts';
export { isRedactionPeriod, REDACTION_KEY_BYTES, redactionPeriod } from './redaction-period.ts';
export { fail, ok, type Result } from './result.ts';
export type { Scheduler } from './scheduler.ts';
export { parseTimeWindow, type TimeWindow, windowHolds } from './time-window.ts';
