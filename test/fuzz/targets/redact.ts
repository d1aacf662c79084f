import assert from 'node:assert/strict';
import { redactText } from '#lib';
import { bytesOf, type FuzzTarget } from '../target.ts';

const EMAIL = 'alice@example.org';
const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';

/** Whatever stands around them, an address and a token that stand apart go; and nothing makes it throw. */
export const redactTarget: FuzzTarget = {
  name: 'redact',
  seeds: bytesOf(
    '/users/1',
    'https://a:b@c/d?e=f',
    'Cookie: a=b; password=x',
    '4111 1111 1111 1111',
    '-----BEGIN PRIVATE KEY-----',
    'Bearer abcdefgh',
  ),
  tokens: [
    '@',
    '%40',
    '://',
    '?',
    '=',
    ':',
    'eyJ',
    '.',
    'token=',
    'Basic ',
    '[redacted:',
    ']',
    '4',
    '-',
  ],
  run(bytes) {
    const around = bytes.toString('latin1').slice(0, 4_000);
    for (const opaque of [true, false]) {
      const redacted = redactText(`${around} ${EMAIL} ${TOKEN} ${around}`, { opaque });
      assert.ok(!redacted.includes(EMAIL), redacted);
      assert.ok(!redacted.includes(TOKEN), redacted);
    }
  },
};
