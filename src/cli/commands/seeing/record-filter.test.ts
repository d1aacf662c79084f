import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordQuery } from './record-filter.ts';

type Options = Parameters<typeof recordQuery>[0];

function check(options: Options, expected: string): void {
  assert.equal(decodeURIComponent(String(recordQuery(options, undefined))), expected);
}

test('flags and --where say what the API is asked for', () => {
  check({}, '');
  check({ since: '5m', from: 'web', to: 'orders' }, 'from=web&to=orders&since=5m');
  check({ denied: true }, 'denied=true');
  check({ path: '/api/' }, 'path=/api/*');
  check({ path: '/api/*' }, 'path=/api/*');
  check({ path: '/' }, 'path=/*');
  check({ verdict: 'deny', reason: 'policy_denied' }, 'verdict=deny&reason=policy_denied');
  check({ method: 'GET', status: '>=500' }, 'method=GET&status=>=500');
  check({ grpcStatus: '!0' }, 'grpc_status=!0');
  check({ policy: 'default/p', trace: 'ab' }, 'policy=default/p&trace_id=ab');
  check({ text: 'abc' }, 'q=abc');
  check({ where: ['status=500'] }, 'status=500');
  check({ where: ['status!=200', 'duration_us>=5000'] }, 'status=!200&duration_us=>=5000');
  check({ where: ['path~list', 'host=a=b'] }, 'path=~list&host=a=b');
  check({ where: ['reason=!x'] }, 'reason=\\!x');
  check({ where: ['path=/api/*'] }, 'path=/api/*');
});

test('what is no condition is named', () => {
  for (const where of ['status', '=5', 'Status=5', 'a b=c']) {
    assert.throws(() => recordQuery({ where: [where] }, undefined), /is no condition/);
  }
});

test('a namespace that was asked for counts, the default one does not', () => {
  assert.equal(String(recordQuery({}, 'shop')), 'namespace=shop');
});
