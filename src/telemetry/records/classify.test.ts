import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecordedCall, type KeptReason, type RecordedCall } from './access-record.ts';
import { classify } from './classify.ts';

function check(name: string, call: Partial<RecordedCall>, expected: KeptReason): void {
  test(`${expected}: ${name}`, () => {
    assert.equal(classify({ ...createRecordedCall({ json: '' }), ...call }), expected);
  });
}

const ALLOWED = { verdict: 'allow', status: 200 } as const;
check('a call that went through', ALLOWED, 'all');
check('a client error of the application', { ...ALLOWED, status: 404 }, 'all');
check('allowed, with the reason why', { ...ALLOWED, reason: 'allowed_by_policy' }, 'all');
check('a TCP connection that went through', { verdict: 'allow' }, 'all');
check('an error of the application', { ...ALLOWED, status: 503 }, 'error');
check('a gRPC call that went through', { ...ALLOWED, grpcStatus: 0 }, 'all');
check('an error of a gRPC caller', { ...ALLOWED, grpcStatus: 5 }, 'all');
check('an error of a gRPC application', { ...ALLOWED, grpcStatus: 13 }, 'error');
check('an error on the way', { verdict: 'allow', reason: 'upstream_timeout' }, 'error');
check('a denial', { verdict: 'deny', status: 403, reason: 'policy_denied' }, 'denied');
check('a TCP connection that was denied', { verdict: 'deny' }, 'denied');
check('a denial by the other side', { ...ALLOWED, status: 403, denialId: '1f' }, 'denied');
check('what an AUDIT policy matched', { ...ALLOWED, audit: 'default/watch' }, 'audit');
check('a denial that an AUDIT policy matched', { verdict: 'deny', audit: 'a/b' }, 'audit');
