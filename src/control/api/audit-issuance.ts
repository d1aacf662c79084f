import { type AuditEvent, type AuditQuery, matches } from '#audit';
import type { SignedLogHead } from '#trust';
import type { LogEntry } from '#wire';
import type { AuditVerification } from '../audit-trail.ts';
import { ApiProblem } from '../errors.ts';
import type { ApiContext } from './context.ts';
import { asObject } from './schemas.ts';

const PAGE = 1_000;
// What a question may read of the authority's log before it says where to go on.
const MAX_PAGES = 10;

/** The authority's issuances as audit events, newest first; `before` is an index, from 0. */
export async function auditOfIssuance(
  { issuance }: ApiContext,
  query: AuditQuery,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
) {
  const items: AuditEvent[] = [];
  let end = before ?? issuance.state().log?.number ?? 0;
  for (let page = 0; page < MAX_PAGES && end > 0; page++) {
    const after = Math.max(0, end - PAGE);
    const { entries } = await issuance.page(after, end - after).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ApiProblem('unavailable', `the authority cannot be asked: ${reason}`);
    });
    const found = entries
      .map(eventOf)
      .filter((event) => matches(event, query))
      .toReversed();
    const taken = found.slice(0, limit - items.length);
    items.push(...taken);
    end = after;
    if (taken.length < found.length || items.length === limit) {
      end = items.at(-1)?.index ?? 0;
      break;
    }
  }
  return { items: items.map(asObject), next_cursor: end > 0 ? String(end) : null };
}

/** What the reader of the issuance log knows of it, in the words of the audit log's verification. */
export function issuanceVerification({ issuance }: ApiContext): AuditVerification {
  const { log, reachable } = issuance.state();
  const isBroken = log?.verified === false;
  return {
    name: 'ca',
    size: log?.number ?? 0,
    head: log?.hash ?? null,
    checkpoint: checkpointOf(log?.signed ?? null),
    state: isBroken ? 'failed' : reachable && log !== null ? 'verified' : 'unverified',
    verified_at: null,
    problem: isBroken ? { index: log.number - 1, message: log.reason } : null,
  };
}

function checkpointOf(signed: SignedLogHead | null): AuditVerification['checkpoint'] {
  if (signed?.root === undefined) return null;
  return { size: signed.number, root: signed.root, signed_at: signed.time };
}

/** An entry's number counts from 1, an event's index from 0. */
function eventOf(entry: LogEntry): AuditEvent {
  const at = Number(entry.timeMs);
  return {
    time: new Date(at).toISOString(),
    index: Number(entry.number) - 1,
    action: entry.kind === 'jwt' ? 'ca.issue_jwt' : 'ca.issue',
    'actor.id': entry.requestedBy === '' ? 'enrolment' : entry.requestedBy,
    'target.kind': entry.kind === 'jwt' ? 'JwtSvid' : 'X509Svid',
    'target.name': entry.spiffeId,
    result: 'ok',
    reason: `serial ${entry.serial}, allowed by ${entry.allowedBy}`,
    previous_hash: entry.previousHash,
    hash: entry.hash,
  };
}
