import type { AuditEvidence } from '../evidence.ts';
import { OCSF_CLASS, ocsfHead, ocsfStatus } from './ocsf-class.ts';
import type { FormatAuthor } from './plain-text.ts';
import { summaryOf } from './summary.ts';

// activity_id of API Activity, by the last word of the action.
const ACTIVITY: readonly (readonly [RegExp, readonly [number, string]])[] = [
  [/(^|[._])(create|created|issue|issued|add|start|enrol|silence|post|register)$/, [1, 'Create']],
  [/(^|[._])(read|records|export|list|get|search|verify)$/, [2, 'Read']],
  [
    /(^|[._])(commit|rotate|update|change|renew|release|unrevoke|lift|put|patch|hold)$/,
    [3, 'Update'],
  ],
  [/(^|[._])(delete|remove|revoke|retire|expire|end)$/, [4, 'Delete']],
];
const SIGN_IN = /(^|\.)sign_in$/;
const SIGN_OUT = /(^|\.)sign_out$/;

/** An audit event as OCSF. */
export function ocsfAudit(item: AuditEvidence, author: FormatAuthor): Record<string, unknown> {
  const { value: event } = item;
  const isSigning = SIGN_IN.test(event.action) || SIGN_OUT.test(event.action);
  const activity = isSigning ? signing(event.action) : activityOf(event.action);
  return {
    ...ocsfHead(
      {
        class: isSigning ? OCSF_CLASS.authentication : OCSF_CLASS.apiActivity,
        activity,
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
    actor: { user: userOf(item) },
    src_endpoint: { ip: event['actor.ip'], name: event['actor.ip'] ?? 'unknown' },
    dst_endpoint: { name: author.hostname, svc_name: 'palisade-control' },
    ...(isSigning ? ofSignIn(item) : ofAction(item)),
    unmapped: {
      log: event.log,
      index: event.index,
      hash: event.hash,
      previous_hash: event.previous_hash,
      diff: event.diff,
    },
  };
}

function activityOf(action: string): readonly [number, string] {
  return ACTIVITY.find(([pattern]) => pattern.test(action))?.[1] ?? [99, 'Other'];
}

function signing(action: string): readonly [number, string] {
  return SIGN_OUT.test(action) ? [2, 'Logoff'] : [1, 'Logon'];
}

function ofSignIn(item: AuditEvidence): Record<string, unknown> {
  return {
    user: userOf(item),
    service: { name: 'palisade-control' },
    logon_type_id: 3,
    logon_type: 'Network',
    is_remote: true,
  };
}

function ofAction({ value: event }: AuditEvidence): Record<string, unknown> {
  const name = event['target.name'];
  const target = {
    type: event['target.kind'],
    name: name ?? event['target.kind'],
    namespace: event['target.namespace'],
  };
  const isRefused = event.result === 'refused';
  return {
    api: {
      operation: event.action,
      service: { name: 'palisade-control' },
      response: isRefused ? { error: 'refused', error_message: event.reason } : undefined,
    },
    resources: target.name === null || target.name === undefined ? [] : [target],
  };
}

function userOf({ value: event }: AuditEvidence): Record<string, unknown> {
  const name = event['actor.id'] ?? 'unknown';
  const isSystem = name.startsWith('spiffe://');
  return isSystem ? { name, type_id: 3, type: 'System' } : { name, type_id: 2, type: 'Admin' };
}
