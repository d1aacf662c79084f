// gRPC's status codes (grpc/grpc doc/statuscodes.md), by number.
const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** The name of a gRPC status; its number where it has none. */
export function grpcName(status: number): string {
  return NAMES[status] ?? String(status);
}

/** A condition on gRPC's status as the API takes it: a name becomes its number, also behind a `!`. */
export function grpcCondition(text: string): string {
  const [, sign = '', name = ''] = /^(!?)(.*)$/s.exec(text) ?? [];
  const status = NAMES.indexOf(name.toUpperCase());
  return status < 0 ? text : `${sign}${status}`;
}
