import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Evidence } from '../evidence.ts';
import { fakeAlert, fakeAudit, fakeRecord, OTHER_FIELDS } from '../fake-evidence.ts';
import { ecsDocument } from './ecs.ts';

const AUTHOR = { version: '0.2.0', trustDomain: 'cluster.local', hostname: 'control-1' };

// The values that ECS 8.11 allows, and which types it expects of each category.
const TYPES: Readonly<Record<string, readonly string[]>> = {
  authentication: ['start', 'end', 'info'],
  configuration: ['access', 'change', 'creation', 'deletion', 'info'],
  network: ['access', 'allowed', 'connection', 'denied', 'end', 'info', 'protocol', 'start'],
  web: ['access', 'error', 'info', 'connection', 'allowed', 'denied'],
};

// oxlint-disable-next-line typescript/no-explicit-any -- members of whatever came; the test fails where they are not
function check(item: Evidence): any {
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  const document: any = ecsDocument(item, AUTHOR);
  assert.match(document['@timestamp'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(document.ecs, { version: '8.11.0' });
  assert.ok(['event', 'alert'].includes(document.event.kind));
  assert.equal(document.event.id, item.id);
  assert.ok([undefined, 'success', 'failure'].includes(document.event.outcome));
  for (const type of document.event.type) {
    assert.ok(
      document.event.category.some((category: string) => TYPES[category]?.includes(type)),
      type,
    );
  }
  return document;
}

test('a request by its ECS names', () => {
  const document = check(fakeRecord(1, { duration_us: 1234, bytes_in: 10, bytes_out: 20 }));
  assert.deepEqual(document.event.type, ['connection', 'allowed']);
  assert.equal(document.event.duration, 1_234_000);
  assert.deepEqual(document.tls.version, '1.3');
  assert.deepEqual(document.http.response, { status_code: 200, body: { bytes: 20 } });
  assert.deepEqual(document.url, { path: '/this-is-a-test', domain: 'sink-test' });
  assert.equal(document.network.bytes, 30);
});

test('what ECS has no name for is below palisade', () => {
  const document = check(fakeRecord(1, OTHER_FIELDS as never));
  const { grpc_status, decision_us, kept, exception, dry_run, headers, redacted } =
    document.palisade;
  assert.deepEqual(
    { grpc_status, decision_us, kept, exception, dry_run, headers, redacted },
    OTHER_FIELDS,
  );
  assert.equal(document.palisade.path, undefined, 'named above');
  assert.equal(check(fakeAlert()).labels.trust_domain, 'cluster.local');
});

test('a denial is a failure with its reason and rule', () => {
  const denied = {
    verdict: 'deny',
    status: 403,
    reason: 'policy_denied',
    policy: 'default/x',
    rule: '1',
  } as const;
  const document = check(fakeRecord(1, denied));
  assert.deepEqual([document.event.outcome, document.event.reason], ['failure', 'policy_denied']);
  assert.deepEqual(document.rule, { ruleset: 'default/x', id: '1' });
});

test('a connection has no HTTP, and one in plaintext no TLS', () => {
  const document = check(fakeRecord(1, { kind: 'tcp', status: null, 'tls.version': null }));
  assert.deepEqual([document.http, document.url, document.tls], [undefined, undefined, undefined]);
});

test('audit events and alerts', () => {
  assert.deepEqual(check(fakeAudit({ action: 'admin.sign_in' })).event.category, [
    'authentication',
  ]);
  assert.equal(check(fakeAudit({ result: 'refused' })).event.outcome, 'failure');
  assert.deepEqual(check(fakeAlert()).event.kind, 'alert');
  const over = check(fakeAlert({ state: 'resolved', ends_at: '2026-01-31T12:10:00.000Z' }));
  assert.deepEqual([over.event.type, over['@timestamp']], [['end'], '2026-01-31T12:10:00.000Z']);
});
