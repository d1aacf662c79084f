import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AuditEvent } from './event.ts';
import { ocsfOfAudit } from './ocsf.ts';

const ABOUT = { log: 'control', version: '0.2.0' };
const HASH = 'ab'.repeat(32);

function event(over: Partial<AuditEvent> = {}): AuditEvent {
  const base = { time: '2026-11-21T12:00:00.000Z', index: 7, hash: HASH, previous_hash: HASH };
  return { ...base, action: 'policy.commit', 'actor.id': 'ann', result: 'ok', ...over };
}

/** What schema.ocsf.io 1.5.0 demands of an API Activity: what must be there, of which kind, and which numbers there are. */
function check(audit: AuditEvent): void {
  // oxlint-disable-next-line typescript/no-explicit-any -- members of whatever came; the test fails where they are not
  const ocsf: any = ocsfOfAudit(audit, ABOUT);
  assert.deepEqual([ocsf.class_uid, ocsf.category_uid], [6003, 6]);
  assert.ok([0, 1, 2, 3, 4, 99].includes(ocsf.activity_id), `activity ${ocsf.activity_id}`);
  assert.equal(ocsf.type_uid, ocsf.class_uid * 100 + ocsf.activity_id);
  assert.ok([0, 1, 2, 3, 4, 5, 6, 99].includes(ocsf.severity_id));
  assert.ok([0, 1, 2, 99].includes(ocsf.status_id));
  assert.ok(Number.isSafeInteger(ocsf.time));
  assert.equal(typeof ocsf.metadata.product.vendor_name, 'string');
  assert.equal(ocsf.metadata.version, '1.5.0');
  assert.equal(typeof ocsf.api.operation, 'string');
  // Constraints: an actor has at least a user, an endpoint at least a name or an address.
  assert.equal(typeof ocsf.actor.user.name, 'string');
  const { ip, name } = ocsf.src_endpoint;
  assert.ok(typeof (ip ?? name) === 'string' && (ip ?? name) !== '');
  assert.ok(Array.isArray(ocsf.resources ?? []));
  assert.deepEqual(JSON.parse(JSON.stringify(ocsf)), ocsf, 'nothing in it that JSON does not have');
}

test('whatever was logged is an API Activity as the schema has it', () => {
  const text = fc.string({ minLength: 1, maxLength: 40 });
  const maybe = fc.option(text, { nil: undefined });
  fc.assert(
    fc.property(
      text,
      text,
      maybe,
      maybe,
      fc.constantFrom('ok', 'refused'),
      (action, id, ip, name, result) => {
        check(
          event({
            action,
            'actor.id': id,
            result,
            ...(ip === undefined ? {} : { 'actor.ip': ip }),
            ...(name === undefined ? {} : { 'target.name': name, 'target.kind': 'Thing' }),
          }),
        );
      },
    ),
  );
});

// An export of before verifies only while this holds: add to it, and change nothing that is there.
test('what was done is one of create, read, update and delete', () => {
  const cases = {
    'policy.commit': 1,
    'ca.issue': 1,
    'ca.issue_jwt': 1,
    'identity.revoke': 1,
    'alert.silence': 1,
    'process.start': 1,
    'export.audit': 2,
    'ca.rotate': 3,
    'api.post': 3,
    'identity.unrevoke': 4,
    'audit.hold_add': 1,
    'audit.hold_release': 4,
    'alert.unsilence': 4,
    'process.stop': 4,
    'ca.prepare_root': 1,
    'join_token.create': 1,
    'admin.sign_in': 1,
    'admin.sign_out': 4,
    'admin.refused': 3,
    'console.link': 1,
    'sink.test': 3,
    'audit.expire': 4,
    'api.put': 3,
    'api.delete': 4,
  };
  for (const [action, activity] of Object.entries(cases)) {
    const audit = event({ action });
    check(audit);
    assert.equal(ocsfOfAudit(audit, ABOUT)['activity_id'], activity, action);
  }
});
