import type { Evidence } from '../evidence.ts';
import { ocsfAlert } from './ocsf-alert.ts';
import { ocsfAudit } from './ocsf-audit.ts';
import { ocsfCall } from './ocsf-call.ts';
import { compact, type FormatAuthor, safeJson } from './plain-text.ts';

/** One line, without its newline: the item as an event of OCSF 1.5.0. */
export function ocsfLine(item: Evidence, author: FormatAuthor): string {
  return safeJson(ocsfEvent(item, author));
}

/**
 * The item as an event of OCSF 1.5.0 (schema.ocsf.io): calls are HTTP Activity (4002) or Network Activity (4001), those
 * whose caller did not authenticate Authentication (3002); audit events API Activity (6003), sign-ins Authentication;
 * alerts Detection Finding (2004). Metrics and spans have no class: an error of the caller.
 */
export function ocsfEvent(item: Evidence, author: FormatAuthor): Record<string, unknown> {
  if (item.kind === 'records' || item.kind === 'traces') return compact(ocsfCall(item, author));
  if (item.kind === 'audit') return compact(ocsfAudit(item, author));
  if (item.kind === 'alerts') return compact(ocsfAlert(item, author));
  throw new Error('OCSF has no class for metrics');
}
