import { ocsfOfAudit } from '#audit';
import type { AuditEvidence } from '../evidence.ts';
import { OCSF_CLASS, ocsfHead, ocsfStatus } from './ocsf-class.ts';
import type { FormatAuthor } from './plain-text.ts';
import { summaryOf } from './summary.ts';

const SIGN_IN = /(^|\.)sign_in$/;
const SIGN_OUT = /(^|\.)sign_out$/;

/** An audit event as OCSF: API Activity as exports of the log have it, or Authentication where somebody signed in. */
export function ocsfAudit(item: AuditEvidence, author: FormatAuthor): Record<string, unknown> {
  const { action } = item.value;
  if (SIGN_IN.test(action) || SIGN_OUT.test(action)) return signing(item, author);
  return ocsfOfAudit(item.value, { log: item.value.log, version: author.version });
}

function signing(item: AuditEvidence, author: FormatAuthor): Record<string, unknown> {
  const { value: event } = item;
  const user = { name: event['actor.id'], type_id: 2, type: 'Admin' };
  const ip = event['actor.ip'];
  return {
    ...ocsfHead(
      {
        class: OCSF_CLASS.authentication,
        activity: SIGN_OUT.test(event.action) ? [2, 'Logoff'] : [1, 'Logon'],
        severity: event.result === 'ok' ? 'Informational' : 'Medium',
        time: event.time,
        id: item.id,
        log: 'audit',
        message: summaryOf(item),
      },
      author,
    ),
    ...ocsfStatus(event.result === 'ok' ? 'Success' : 'Failure'),
    status_detail: event.reason,
    user,
    actor: { user },
    src_endpoint: { ip, name: ip ?? 'unknown' },
    dst_endpoint: { name: author.hostname, svc_name: 'palisade-control' },
    service: { name: 'palisade-control' },
    logon_type_id: 3,
    logon_type: 'Network',
    is_remote: true,
    unmapped: { index: event.index, hash: event.hash, previous_hash: event.previous_hash },
  };
}
