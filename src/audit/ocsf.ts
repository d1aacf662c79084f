import type { AuditEvent } from './event.ts';

/** The version of OCSF whose API Activity class is written. */
export const OCSF_VERSION = '1.5.0';

// INVARIANT: exports are verified for years, and the class of an event with them: what an action is called once, stays.
// Verbs that change nothing, make something and take something away; whatever else there is changes what is there.
const READS = new Set(['export', 'read', 'verify', 'search']);
const CREATES = new Set([
  'add',
  'commit',
  'create',
  'hold_add',
  'issue',
  'issue_jwt',
  'link',
  'prepare_root',
  'silence',
  'start',
  'sign_in',
  'revoke',
]);
const DELETES = new Set([
  'delete',
  'expire',
  'hold_release',
  'remove',
  'sign_out',
  'stop',
  'unrevoke',
  'unsilence',
]);

/** An event as OCSF API Activity (class 6003), as far as that says it; the record itself is in `raw_data`. */
export function ocsfOfAudit(
  event: AuditEvent,
  about: { readonly log: string; readonly version: string },
): Record<string, unknown> {
  const activity = activityOf(event.action);
  const isOk = event.result === 'ok';
  const ip = event['actor.ip'];
  const kind = event['target.kind'];
  const name = event['target.name'];
  return {
    activity_id: activity,
    category_uid: 6,
    class_uid: 6003,
    type_uid: 600_300 + activity,
    time: Date.parse(event.time),
    severity_id: isOk ? 1 : 3,
    status_id: isOk ? 1 : 2,
    ...(event.reason === undefined ? {} : { status_detail: event.reason }),
    message: `${event['actor.id']} ${event.action} ${name ?? ''}`.trim(),
    actor: { user: { name: event['actor.id'] } },
    api: { operation: event.action, service: { name: `palisade ${about.log}` } },
    src_endpoint: ip === undefined ? { name: event['actor.id'] } : { ip },
    ...(kind === undefined && name === undefined
      ? {}
      : {
          resources: [
            {
              ...(kind === undefined ? {} : { type: kind }),
              ...(name === undefined ? {} : { name }),
              ...namespaceOf(event),
            },
          ],
        }),
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'Palisade', vendor_name: 'Palisade', version: about.version },
      log_name: `audit-${about.log}`,
      uid: `audit:${about.log}:${event.index}`,
      sequence: event.index,
    },
    unmapped: {
      palisade: {
        index: event.index,
        hash: event.hash,
        previous_hash: event.previous_hash,
        ...(event.diff === undefined ? {} : { diff: event.diff }),
      },
    },
  };
}

function namespaceOf(event: AuditEvent): { namespace?: string } {
  const namespace = event['target.namespace'];
  return namespace === undefined ? {} : { namespace };
}

function activityOf(action: string): number {
  const verb = action.slice(action.indexOf('.') + 1);
  if (action.startsWith('export.') || READS.has(verb)) return 2;
  if (CREATES.has(verb)) return 1;
  return DELETES.has(verb) ? 4 : 3;
}
