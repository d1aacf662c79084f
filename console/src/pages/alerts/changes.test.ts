import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEvent } from '../../api/audit-event.ts';
import type { PolicySetSummary } from '../../api/policy-set.ts';
import { changesOfAudit, changesOfSets } from './changes.ts';

function event(index: number, action: string, changes: Partial<AuditEvent> = {}): AuditEvent {
  const time = new Date(Date.parse('2026-03-02T10:00:00.000Z') + index * 1000).toISOString();
  return { index, action, time, result: 'ok', ...changes };
}

test('what only looks at the mesh is no change of it; the newest comes first', () => {
  const changes = changesOfAudit([
    event(1, 'policy.commit', {
      'target.kind': 'PolicySet',
      'target.name': '7',
      'target.namespace': 'shop',
    }),
    event(2, 'admin.sign_in'),
    event(3, 'export.records'),
    event(4, 'identity.revoke', { result: 'refused', 'target.name': 'web' }),
    event(5, 'api.put', { 'target.kind': 'Path', 'target.name': '/x' }),
    event(6, 'ca.rotate'),
  ]);
  assert.deepEqual(
    changes.map(({ what, refused, link }) => [what, refused, link]),
    [
      ['ca.rotate', false, '/evidence?event=6'],
      ['api.put Path /x', false, '/evidence?event=5'],
      ['revocation of web', true, '/evidence?event=4'],
      ['policy shop, version 7', false, '/evidence?event=1'],
    ],
  );
});

test('without an audit log the signed changes since an instant stand in', () => {
  const set = (namespace: string, time: string) =>
    ({ namespace, time, number: 7, author: 'ann' }) as unknown as PolicySetSummary;
  const changes = changesOfSets(
    [set('old', '2026-03-01T00:00:00.000Z'), set('shop', '2026-03-02T00:00:00.000Z')],
    Date.parse('2026-03-01T12:00:00.000Z'),
  );
  assert.deepEqual(
    changes.map(({ what, link }) => [what, link]),
    [['policy of shop, version 7', '/policies?ns=shop']],
  );
});
