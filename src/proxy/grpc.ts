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

const UNKNOWN = 2;
const LAST_CODE = 16;

/**
 * The number of a `grpc-status`; undefined for none. SECURITY: it becomes a label and comes from an application, so
 * what is no code of gRPC's is UNKNOWN, which its callers are told to take it for.
 */
export function parseGrpcStatus(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const status = /^\d{1,2}$/.test(value) ? Number(value) : UNKNOWN;
  return status <= LAST_CODE ? status : UNKNOWN;
}
