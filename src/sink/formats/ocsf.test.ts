import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Evidence } from '../evidence.ts';
import { fakeAlert, fakeAudit, fakeRecord, OTHER_FIELDS } from '../fake-evidence.ts';
import { sampleEvidence } from '../samples.ts';
import { ocsfEvent } from './ocsf.ts';

const AUTHOR = { version: '0.2.0', trustDomain: 'cluster.local', hostname: 'control-1' };
const DENIED = { verdict: 'deny', status: 403, reason: 'policy_denied' } as const;

/** What schema.ocsf.io 1.5.0 demands of every event, and of each class besides. */
const EVERY = [
  'activity_id',
  'category_uid',
  'class_uid',
  'metadata',
  'severity_id',
  'time',
  'type_uid',
];
const CLASSES: Readonly<
  Record<
    number,
    {
      category: number;
      required: readonly string[];
      oneOf: readonly string[];
      activities: readonly number[];
    }
  >
> = {
  4001: {
    category: 4,
    required: [],
    oneOf: ['src_endpoint', 'dst_endpoint'],
    activities: [0, 1, 2, 3, 4, 5, 6, 7, 99],
  },
  4002: {
    category: 4,
    required: [],
    oneOf: ['http_request', 'http_response'],
    activities: [0, 1, 2, 3, 4, 5, 6, 7, 8, 99],
  },
  3002: {
    category: 3,
    required: ['user'],
    oneOf: ['service', 'dst_endpoint'],
    activities: [0, 1, 2, 3, 4, 5, 6, 99],
  },
  6003: {
    category: 6,
    required: ['actor', 'api', 'src_endpoint'],
    oneOf: ['api'],
    activities: [0, 1, 2, 3, 4, 99],
  },
  2004: {
    category: 2,
    required: ['finding_info'],
    oneOf: ['finding_info'],
    activities: [0, 1, 2, 3, 99],
  },
};
const METHODS = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'TRACE']);

// oxlint-disable-next-line typescript/no-explicit-any -- members of whatever came; the test fails where they are not
function check(item: Evidence, uid: number, members: Record<string, unknown>): any {
  // oxlint-disable-next-line typescript/no-explicit-any -- as above
  const event: any = ocsfEvent(item, AUTHOR);
  const expected = CLASSES[uid];
  assert.ok(expected);
  assert.equal(event.class_uid, uid);
  for (const name of [...EVERY, ...expected.required]) assert.ok(event[name] !== undefined, name);
  assert.ok(expected.oneOf.some((name) => event[name] !== undefined));
  assert.equal(event.category_uid, expected.category);
  assert.ok(expected.activities.includes(event.activity_id));
  assert.equal(event.type_uid, uid * 100 + event.activity_id);
  assert.ok(Number.isInteger(event.time) && event.time > 0);
  assert.deepEqual([event.metadata.version, event.metadata.product.name], ['1.5.0', 'Palisade']);
  assert.ok(event.metadata.uid.length > 0);
  const method = event.http_request?.http_method;
  assert.ok(method === undefined || METHODS.has(method), method);
  for (const [name, value] of Object.entries(members)) assert.deepEqual(event[name], value, name);
  return event;
}

test('a request is HTTP Activity', () => {
  const event = check(fakeRecord(1), 4002, {
    activity_id: 3,
    status_id: 1,
    action_id: 1,
    severity_id: 1,
  });
  assert.deepEqual(event.http_request.url, { path: '/this-is-a-test', hostname: 'sink-test' });
  assert.equal(event.http_response.code, 200);
  assert.deepEqual(event.trace, { uid: '00000000000000000000000000000001' });
  assert.deepEqual(event.metadata.profiles, ['security_control', 'trace']);
  assert.equal(event.metadata.uid, 'r-1');
});

test('a denied one is a blocked failure with its reason and policy', () => {
  const record = { ...DENIED, policy: 'default/orders', rule: '2', policy_version: 'default@7' };
  const event = check(fakeRecord(1, record), 4002, {
    action_id: 2,
    disposition_id: 2,
    status_id: 2,
    severity_id: 3,
    status_code: 'policy_denied',
  });
  assert.deepEqual(event.policy, {
    name: 'default/orders',
    version: 'default@7',
    is_applied: true,
  });
  assert.equal(event.firewall_rule.uid, 'default/orders#2');
});

test('a method that OCSF does not know is 99 and stands aside', () => {
  const event = check(fakeRecord(1, { method: 'PATCH' }), 4002, { activity_id: 99 });
  assert.equal(event.http_request.http_method, undefined);
  assert.equal(event.unmapped.method, 'PATCH');
});

test('what is no host name is not said to be one', () => {
  for (const host of ['a b', '[::1]', '-x', 'x\ny', 'a'.repeat(300)]) {
    const event = check(fakeRecord(1, { host }), 4002, {});
    assert.equal(event.http_request.url.hostname, undefined, host);
  }
});

test('a connection is Network Activity, refused where it was denied', () => {
  const tcp = { kind: 'tcp', method: null, path: null, status: null } as const;
  check(fakeRecord(1, tcp), 4001, { activity_id: 1 });
  check(fakeRecord(1, { ...tcp, ...DENIED, status: null }), 4001, {
    activity_id: 5,
    disposition_id: 2,
  });
  check(
    fakeRecord(1, { ...tcp, 'source.id': null, 'source.ip': null, 'source.service': null }),
    4001,
    {},
  );
});

test('a caller who did not prove who it is is a failed Authentication', () => {
  for (const reason of ['peer_unauthenticated', 'token_invalid']) {
    const event = check(fakeRecord(1, { ...DENIED, reason, 'source.id': null }), 3002, {
      activity_id: 1,
      status_id: 2,
      status_code: reason,
    });
    assert.equal(event.user.name, 'sink-test');
  }
});

test('what was done is API Activity, signing in Authentication', () => {
  const commit = check(fakeAudit({ action: 'policy.commit', 'actor.ip': '127.0.0.1' }), 6003, {});
  assert.equal(commit.api.operation, 'policy.commit');
  check(fakeAudit({ action: 'identity.unrevoke', result: 'refused' }), 6003, {
    activity_id: 4,
    status_id: 2,
  });
  check(fakeAudit({ action: 'admin.sign_in' }), 3002, { activity_id: 1, status_id: 1 });
  check(fakeAudit({ action: 'admin.sign_in', result: 'refused' }), 3002, {
    status_id: 2,
    severity_id: 3,
  });
  check(fakeAudit({ action: 'admin.sign_out' }), 3002, { activity_id: 2 });
});

test('what OCSF has no attribute for is unmapped', () => {
  const event = check(fakeRecord(1, OTHER_FIELDS as never), 4002, { activity_id: 3 });
  for (const [name, value] of Object.entries(OTHER_FIELDS)) {
    assert.deepEqual(event.unmapped[name], value, name);
  }
  assert.equal(event.unmapped.path, undefined, 'it has an attribute');
});

test('an alert is a Detection Finding that is closed when it is over', () => {
  const alert = { severity: 'page', runbook: 'docs/runbooks/x.md' } as const;
  const firing = check(fakeAlert(alert), 2004, {
    activity_id: 1,
    status_id: 1,
    severity_id: 4,
    is_alert: true,
  });
  assert.deepEqual(firing.remediation.references, ['docs/runbooks/x.md']);
  const ends_at = '2026-01-31T12:10:00.000Z';
  const over = check(fakeAlert({ ...alert, state: 'resolved', ends_at }), 2004, {
    activity_id: 3,
    status_id: 4,
  });
  assert.deepEqual([over.time, over.end_time], [Date.parse(ends_at), Date.parse(ends_at)]);
});

test('metrics have no class', () => {
  const metrics = sampleEvidence('metrics', { nowMs: 1, trustDomain: 'cluster.local' });
  assert.throws(() => ocsfEvent(metrics, AUTHOR), /no class/);
});
