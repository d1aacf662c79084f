import { ok, type Result } from '#lib';
import type { LogEntry } from '#trust';
import {
  createMessage,
  type ReadLogRequest,
  type ReadLogResponse,
  ReadLogResponseSchema,
} from '#wire';
import { requireRole, type ServiceOptions } from './answer.ts';
import type { Caller } from './caller.ts';
import { type Refusal, refuse } from './refusal.ts';

const MAX_LOG_PAGE = 1000;

/** ReadLog: a page of the issuance log, its signed head, and how the audit log was witnessed. */
export function readLog(
  options: ServiceOptions,
  { after, limit }: ReadLogRequest,
  from: Caller,
): Result<ReadLogResponse, Refusal> {
  // Agents hold the authority to its log: each follows the chain and looks for its own certificates in it.
  const caller = requireRole(options, from, {
    roles: ['control', 'agent'],
    refusal: 'may not read the issuance log',
  });
  if (!caller.ok) return caller;
  if (after < 0n || after > BigInt(Number.MAX_SAFE_INTEGER) || limit < 0) {
    return refuse('invalid', '`after` and `limit` are not negative');
  }
  const page = limit === 0 ? MAX_LOG_PAGE : Math.min(limit, MAX_LOG_PAGE);
  const entries = options.issuanceLog.read(Number(after), page).map(toWire);
  const { checkpoint, refused } = options.witness.state();
  return ok(
    createMessage(ReadLogResponseSchema, {
      entries,
      head: options.signedHead(),
      auditCheckpoint: checkpoint,
      auditRefused: refused,
    }),
  );
}

function toWire(entry: LogEntry) {
  const { hash, previousHash, spiffeId, serial, requestedBy, allowedBy, certificateSha256 } = entry;
  return {
    hash,
    previousHash,
    spiffeId,
    serial,
    requestedBy,
    allowedBy,
    certificateSha256,
    number: BigInt(entry.number),
    timeMs: BigInt(entry.timeMs),
    expiresAtMs: BigInt(entry.expiresAtMs),
    selectors: [...entry.selectors],
    kind: entry.kind ?? '',
    attestation: entry.attestation ?? '',
    audience: [...(entry.audience ?? [])],
  };
}
