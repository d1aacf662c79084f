import { status } from '@grpc/grpc-js';
import { fail, type Result } from '#lib';

/** Why a request got no certificate: the gRPC status and a sentence that names the next step. */
export type Refusal = { readonly status: RefusalStatus; readonly message: string };

/** The gRPC statuses that this authority answers with. */
export type RefusalStatus = keyof typeof CODES;

const CODES = {
  invalid: status.INVALID_ARGUMENT,
  denied: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  internal: status.INTERNAL,
} as const;

/** A refusal as a result. */
export function refuse(status: RefusalStatus, message: string): Result<never, Refusal> {
  return fail({ status, message });
}

/** The error a gRPC call ends with. */
export function grpcError(refusal: Refusal): { readonly code: number; readonly details: string } {
  return { code: CODES[refusal.status], details: refusal.message };
}
