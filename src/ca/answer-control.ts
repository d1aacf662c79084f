import { isHash, isSize } from '#audit';
import { ok, type Result } from '#lib';
import { EVENT } from '#telemetry';
import {
  createMessage,
  type FetchCrlResponse,
  FetchCrlResponseSchema,
  type PrepareRootResponse,
  PrepareRootResponseSchema,
  type WitnessAuditLogRequest,
  type WitnessAuditLogResponse,
  WitnessAuditLogResponseSchema,
} from '#wire';
import { requireRole, type ServiceOptions } from './answer.ts';
import { type Caller, requireIdentity } from './caller.ts';
import { type Refusal, refuse } from './refusal.ts';

/** FetchCrl: the revocation list for those outside of the mesh, for whoever has an identity in it. */
export function fetchCrl(options: ServiceOptions, from: Caller): Result<FetchCrlResponse, Refusal> {
  const caller = requireIdentity(from, options.clock(), options.revoked());
  if (!caller.ok) return caller;
  const crl = options.crl();
  if (crl === undefined) return refuse('unavailable', 'the list is being made');
  return ok(createMessage(FetchCrlResponseSchema, { crl }));
}

/** PrepareRoot: a signed statement of the next root, which is made if there is none. */
export function prepareRoot(
  options: ServiceOptions,
  from: Caller,
): Result<PrepareRootResponse, Refusal> {
  // Harmless by itself: the root counts for nobody until authors sign a trust root that names it.
  const caller = requireRole(options, from, {
    roles: ['control'],
    refusal: 'may not prepare a root',
  });
  if (!caller.ok) return caller;
  try {
    return ok(createMessage(PrepareRootResponseSchema, { envelope: options.nextRoot() }));
  } catch (error) {
    options.log.error(EVENT.signingFailed, { error });
    const words =
      "its key device, its upstream or its disk does not let it; the authority's log says why";
    return refuse('unavailable', `the authority cannot make its next issuer now: ${words}`);
  }
}

/** WitnessAuditLog: the end of the audit log, signed if it continues what was signed before. */
export function witnessAuditLog(
  options: ServiceOptions,
  request: WitnessAuditLogRequest,
  from: Caller,
): Result<WitnessAuditLogResponse, Refusal> {
  const caller = requireRole(options, from, {
    roles: ['control'],
    refusal: 'has no audit log to witness',
  });
  if (!caller.ok) return caller;
  const { root, last, proof } = request;
  const size = Number(request.size);
  if (!isSize(size) || !isHash(root) || !isHash(last)) {
    return refuse('invalid', 'not the end of a log');
  }
  const tip = { size, root, last, from: Number(request.fromSize), proof };
  const answer = options.witness.sign(tip);
  return ok(createMessage(WitnessAuditLogResponseSchema, { answer }));
}
