import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListedRecord } from '../../api/access-record.ts';
import { checkQuestion } from './check-question.ts';

test('a recorded call asks the same question again, without what was not recorded', () => {
  const record = {
    'source.id': 'spiffe://cluster.local/ns/shop/sa/web',
    'source.ip': '127.0.0.1',
    'destination.service': 'orders',
    'destination.namespace': 'shop',
    'destination.port': 80,
    'connection.sni': null,
    method: 'GET',
    path: '/orders',
    host: 'orders',
  } as ListedRecord;
  assert.deepEqual(checkQuestion(record), {
    from: 'spiffe://cluster.local/ns/shop/sa/web',
    to: 'orders',
    namespace: 'shop',
    method: 'GET',
    path: '/orders',
    host: 'orders',
    port: 80,
    sourceIp: '127.0.0.1',
  });
});

test('a connection without an identity has neither caller nor request', () => {
  const record = {
    'source.id': null,
    'destination.service': 'redis',
    'destination.namespace': 'data',
    'destination.port': 6379,
    method: null,
    path: null,
    host: null,
  } as ListedRecord;
  assert.deepEqual(checkQuestion(record), { to: 'redis', namespace: 'data', port: 6379 });
});

test('a call to no service cannot be asked again', () => {
  assert.equal(checkQuestion({ 'destination.service': null } as ListedRecord), undefined);
});
