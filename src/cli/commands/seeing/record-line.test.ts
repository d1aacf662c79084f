import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessRecord } from '../../api-types.ts';
import { recordLine } from './record-line.ts';

const plain = (_color: string, text: string): string => text;
const CALL = {
  time: 'T',
  kind: 'http',
  reporter: 'destination',
  verdict: 'allow',
  method: 'GET',
  path: '/',
  status: 200,
  policy: 'default/p',
  duration_us: 1_200,
  'source.id': 'spiffe://cluster.local/ns/default/sa/web',
  'destination.id': 'spiffe://cluster.local/ns/default/sa/orders',
  'destination.service': 'orders',
  'tls.version': 'TLSv1.3',
};

function check(differs: Record<string, unknown>, want: string): void {
  assert.equal(recordLine({ ...CALL, ...differs } as AccessRecord, plain), want);
}

test('a call in a line says who, what, how it came, and by what it passed or failed', () => {
  check({}, 'T allowed web → orders GET / 200 1.2 ms mTLS by default/p');
  check({ kind: 'tcp' }, 'T allowed web → orders tcp 1.2 ms mTLS by default/p');
  check(
    { 'tls.version': null, 'source.id': null },
    'T allowed unknown → orders GET / 200 1.2 ms plaintext by default/p',
  );
  const denied = { verdict: 'deny', status: 403, reason: 'peer_unauthenticated', denial_id: 'd1' };
  check(
    { ...denied, 'source.id': null },
    'T denied unknown → orders GET / 403 1.2 ms TLS peer_unauthenticated d1',
  );
});

test('of a call that reached nobody it does not say that it went in plaintext', () => {
  const lost = {
    reporter: 'source',
    'destination.id': null,
    'tls.version': null,
    verdict: 'deny',
    status: 503,
  };
  check(
    { ...lost, reason: 'no_healthy_endpoint' },
    'T denied web → orders GET / 503 1.2 ms no_healthy_endpoint -',
  );
});
