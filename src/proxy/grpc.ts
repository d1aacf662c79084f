/** Whether a request's fields (name, value, name, value …) are those of a gRPC call. */
export function isGrpc(fields: readonly string[]): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] === 'content-type') return GRPC_TYPE.test(fields[at + 1] as string);
  }
  return false;
}

// `application/grpc-web` is another protocol, over plain HTTP.
const GRPC_TYPE = /^application\/grpc(?:\+|;|$)/;

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * The milliseconds of a `grpc-timeout` (gRPC over HTTP/2, "Timeout"): at most 8 digits and a unit.
 * Undefined for none or one that is malformed, which its server will refuse.
 */
export function parseGrpcTimeout(value: string | undefined): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value ?? '');
  if (match === null) return undefined;
  return Number(match[1]) * (UNIT_MS[match[2] as string] as number);
}
