import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRoot } from './issue.ts';
import { jwkOf, jwtKeyOf } from './jwt-key.ts';
import { createKeyPair } from './signing-key.ts';
import { encodeJwks, encodeSpiffeBundle, parseSpiffeBundle } from './spiffe-bundle.ts';
import { parseTrustDomain } from './trust-domain.ts';

const parsedName = parseTrustDomain('other.org');
assert.ok(parsedName.ok);
const trustDomain = parsedName.value;
const root = createRoot({ trustDomain, nowMs: Date.UTC(2026, 4, 1), ttlMs: 3_600_000 });
const key = jwtKeyOf(createKeyPair().publicKey);
const document = encodeSpiffeBundle({
  x509Roots: [root.certificateDer],
  jwtKeys: [key],
  sequence: 7,
  refreshHintSeconds: 300,
});
type Jwk = Record<string, unknown>;
const { keys } = JSON.parse(document) as { keys: [Jwk, Jwk] };

function parse(value: unknown) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return parseSpiffeBundle(trustDomain, Buffer.from(text));
}

test('what is encoded parses to the same', () => {
  const bundle = parse(document);
  assert.ok(bundle.ok);
  const { sequence, refreshHintMs, x509, jwt } = bundle.value;
  assert.deepEqual([sequence, refreshHintMs], [7, 300_000]);
  assert.deepEqual(
    x509?.x509Roots.map((each) => Buffer.compare(each.raw, root.certificateDer)),
    [0],
  );
  assert.deepEqual([...jwt.keys.keys()], [key.kid]);
  assert.ok(jwt.keys.get(key.kid)?.publicKey.equals(key.publicKey));
});

test('a document says no more than the standard knows, and never a private part', () => {
  const [x509, jwt] = keys;
  assert.deepEqual(Object.keys(x509).sort(), ['crv', 'kty', 'use', 'x', 'x5c', 'y']);
  assert.deepEqual(Object.keys(jwt).sort(), ['crv', 'kid', 'kty', 'use', 'x', 'y']);
  const jwks = JSON.parse(encodeJwks([key])) as { keys: Jwk[] };
  assert.deepEqual(jwks.keys, [jwkOf(key, 'jwt-svid')]);
});

describe('documents', () => {
  const [x509, jwt] = keys;
  const cases: [string, unknown, { roots: number; jwt: number } | string][] = [
    ['X.509 roots alone', { keys: [x509] }, { roots: 1, jwt: 0 }],
    ['JWT keys alone', { keys: [jwt] }, { roots: 0, jwt: 1 }],
    [
      'an unknown use is ignored',
      { keys: [x509, { ...jwt, use: 'wit-svid' }] },
      { roots: 1, jwt: 0 },
    ],
    [
      'a missing use is ignored',
      { keys: [x509, { ...jwt, use: undefined }] },
      { roots: 1, jwt: 0 },
    ],
    [
      'a missing key id is ignored',
      { keys: [x509, { ...jwt, kid: undefined }] },
      { roots: 1, jwt: 0 },
    ],
    [
      'an unknown type is ignored',
      { keys: [{ kty: 'PQ', use: 'x509-svid' }, jwt] },
      { roots: 0, jwt: 1 },
    ],
    [
      'a root of a kind we cannot use is ignored',
      { keys: [{ ...x509, x5c: ['AAAA'] }, jwt] },
      { roots: 0, jwt: 1 },
    ],
    ['elements that are nothing are ignored', { keys: [null, 1, 'x', jwt] }, { roots: 0, jwt: 1 }],
    ['two certificates in one key', { keys: [{ ...x509, x5c: [1, 2] }] }, 'x5c'],
    ['no key at all', { keys: [] }, 'no key'],
    ['no list', { keys: {} }, 'list'],
    ['too many keys', { keys: Array.from({ length: 257 }, () => jwt) }, 'list'],
    [
      'a sequence of nanoseconds, beyond what a number holds exactly',
      JSON.stringify({ keys: [jwt] }).replace(/}$/, ',"spiffe_sequence":1795353000123456789}'),
      { roots: 0, jwt: 1 },
    ],
    [
      'a sequence beyond all numbers',
      JSON.stringify({ keys: [jwt] }).replace(/}$/, ',"spiffe_sequence":1e999}'),
      'spiffe_sequence',
    ],
    ['a sequence that is no count', { keys: [jwt], spiffe_sequence: -1 }, 'spiffe_sequence'],
    ['a hint that is no count', { keys: [jwt], spiffe_refresh_hint: '5' }, 'spiffe_refresh_hint'],
    ['no JSON', '{', 'JSON'],
    ['attack: a document without end', `{"keys":[${' '.repeat(1_100_000)}]}`, 'bytes'],
  ];
  for (const [name, value, expected] of cases) {
    test(name, () => {
      const parsed = parse(value);
      if (typeof expected === 'string') {
        assert.ok(!parsed.ok && parsed.error.includes(expected), JSON.stringify(parsed));
      } else {
        assert.ok(parsed.ok);
        const roots = parsed.value.x509?.x509Roots.length ?? 0;
        assert.deepEqual({ roots, jwt: parsed.value.jwt.keys.size }, expected);
      }
    });
  }
});
