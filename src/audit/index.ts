// audit: an append-only log of what was done, by whom: hash-chained, under a Merkle tree whose checkpoints others sign
// and remember, so that nobody can change what was without being found out.
export {
  type Checkpoint,
  checkContinues,
  isHash,
  isSize,
  type OfferedTip,
  openCheckpoint,
  signCheckpoint,
  type WitnessRefusal,
} from './checkpoint.ts';
export { type Changed, diffText } from './diff.ts';
export type { AuditEvent, AuditFields } from './event.ts';
export {
  type ExportProof,
  type ExportTrust,
  ExportVerifier,
  type VerifiedExport,
} from './export.ts';
export { type ExportRequest, exportPage } from './export-page.ts';
export { type AuditLog, type AuditLogOptions, type LogTip, openAuditLog } from './log.ts';
export { ocsfOfAudit } from './ocsf.ts';
export { redactText, redactValue } from './redact.ts';
export { expireSegments, type LegalHold, readHolds, writeHolds } from './retention.ts';
export { type AuditQuery, matches, searchEvents } from './search.ts';
export { type AuditProblem, SEGMENT_RECORDS } from './segment.ts';
export { Frontier, isConsistent, leafOfHash, type TreeHead } from './tree.ts';
export { verifyFolder } from './verify-folder.ts';

/** What a thread that verifies segments is made of. */
export const loadVerifyThread = () => import('./verify-thread.ts');
