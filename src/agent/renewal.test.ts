import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renewalTime } from './renewal.ts';

test('a certificate is renewed around half of its life, counted from its issuance', () => {
  const issuedAt = 1_000_000;
  for (const lifeMs of [5_000, 10_000, 60_000, 3_600_000]) {
    const certificate = { notBefore: issuedAt - 60_000, expiresAt: issuedAt + lifeMs };
    assert.equal(
      renewalTime(certificate, () => 0),
      issuedAt + 0.4 * lifeMs,
    );
    assert.equal(
      renewalTime(certificate, () => 0.5),
      issuedAt + 0.5 * lifeMs,
    );
  }
  // Of an issuer that does not date back, nothing lies in the past but its end.
  const short = { notBefore: issuedAt, expiresAt: issuedAt + 5_000 };
  assert.equal(
    renewalTime(short, () => 0.5),
    short.expiresAt,
  );
});
