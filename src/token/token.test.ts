import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as jose from 'jose';
import { algorithmsFor, TOKEN_ALGORITHMS, verifySignature } from './algorithms.ts';
import { decodeJws, decodeToken } from './compact.ts';
import { parseJwks, parseKey } from './jwks.ts';
import { verifyToken } from './verify.ts';

const NOW_S = 1_900_000_000;
const ISSUER = 'https://id.example.com';
const RULE = { issuer: ISSUER, audiences: [], clockSkewMs: 60_000 };

function pairFor(algorithm: string) {
  if (algorithm === 'EdDSA' || algorithm === 'Ed25519') return generateKeyPairSync('ed25519');
  const curve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[algorithm];
  if (curve !== undefined) return generateKeyPairSync('ec', { namedCurve: curve });
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

const PAIR = pairFor('ES256');

type Named = readonly [key: KeyObject, more?: object];

async function keySet(...keys: readonly Named[]) {
  const jwks = {
    keys: keys.map(([key, more]) => ({ ...key.export({ format: 'jwk' }), kid: 'k', ...more })),
  };
  const parsed = await parseJwks(JSON.stringify(jwks));
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

function sign(
  claims: jose.JWTPayload,
  header: Partial<jose.JWTHeaderParameters> = {},
  key = PAIR.privateKey,
) {
  const payload = { iss: ISSUER, sub: 'ada', exp: NOW_S + 600, ...claims };
  return new jose.SignJWT(payload)
    .setProtectedHeader({ alg: 'ES256', kid: 'k', ...header })
    .sign(key);
}

async function outcome(token: string, rule: { audiences?: readonly string[] } = {}) {
  const decoded = decodeToken(token);
  if (!decoded.ok) return decoded.error;
  const keys = await keySet([PAIR.publicKey]);
  const verified = verifyToken(decoded.value, { ...RULE, ...rule }, keys, NOW_S * 1000);
  return verified.ok ? 'ok' : verified.error;
}

suite('every algorithm verifies what jose signs, and nothing else', () => {
  for (const algorithm of TOKEN_ALGORITHMS) {
    test(algorithm, async () => {
      const { privateKey, publicKey } = pairFor(algorithm);
      const token = await sign({}, { alg: algorithm }, privateKey);
      const keys = await keySet([publicKey]);
      const decoded = decodeToken(token);
      assert.ok(decoded.ok);
      assert.ok(verifyToken(decoded.value, RULE, keys, NOW_S * 1000).ok);
      const broken = Buffer.from(decoded.value.signature);
      broken[3] = (broken[3] ?? 0) ^ 1;
      const forged = { ...decoded.value, signature: broken };
      assert.deepEqual(verifyToken(forged, RULE, keys, NOW_S * 1000), {
        ok: false,
        error: 'bad_signature',
      });
    });
  }
});

suite('claims', () => {
  const cases: readonly (readonly [string, jose.JWTPayload, string, string[]?])[] = [
    ['all is well', {}, 'ok'],
    ['expired within the skew', { exp: NOW_S - 59 }, 'ok'],
    ['expired', { exp: NOW_S - 60 }, 'expired'],
    ['not valid yet within the skew', { nbf: NOW_S + 60 }, 'ok'],
    ['not valid yet', { nbf: NOW_S + 61 }, 'not_yet_valid'],
    ['without an end, as Envoy takes it', { exp: undefined as never }, 'ok'],
    ['an end that is text', { exp: '2099' as never }, 'bad_claims'],
    ['another issuer', { iss: 'https://evil.example' }, 'unknown_issuer'],
    ['for nobody, asked for somebody', {}, 'wrong_audience', ['api']],
    ['for the right one', { aud: ['x', 'api'] }, 'ok', ['api']],
    ['for another', { aud: 'apis' }, 'wrong_audience', ['api']],
    ['as a URL, as Envoy compares', { aud: 'https://api/' }, 'ok', ['http://api']],
    ['audience of numbers', { aud: [1] as never }, 'bad_claims', ['1']],
    ['a subject that is none', { sub: {} as never }, 'bad_claims'],
  ];
  for (const [name, claims, expected, audiences = []] of cases) {
    test(name, async () =>
      assert.equal(await outcome(await sign(claims), { audiences }), expected),
    );
  }
});

suite('attack', () => {
  const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = b64({ iss: ISSUER, sub: 'admin', exp: NOW_S + 600 });

  test('alg none', async () => {
    for (const alg of ['none', 'None', 'NONE', '']) {
      assert.equal(await outcome(`${b64({ alg })}.${body}.`), 'unsupported_algorithm');
    }
  });

  test('an HMAC keyed with the public key', async () => {
    const secret = PAIR.publicKey.export({ type: 'spki', format: 'pem' });
    const token = await new jose.SignJWT({ iss: ISSUER })
      .setProtectedHeader({ alg: 'HS256', kid: 'k' })
      .sign(Buffer.from(secret));
    assert.equal(await outcome(token), 'unsupported_algorithm');
  });

  test('a key of its own in the header', async () => {
    const own = pairFor('ES256');
    const jwk = own.publicKey.export({ format: 'jwk' }) as jose.JWK;
    assert.equal(await outcome(await sign({}, { jwk }, own.privateKey)), 'bad_signature');
    assert.equal(
      await outcome(await sign({}, { jku: 'https://evil.example/jwks' }, own.privateKey)),
      'bad_signature',
    );
  });

  test('critical headers that nobody here knows', async () => {
    const token = `${b64({ alg: 'ES256', crit: ['b64'], b64: false })}.${body}.AAAA`;
    assert.equal(await outcome(token), 'unsupported_header');
  });

  test('a signature of zeros, in DER, or empty', async () => {
    const head = b64({ alg: 'ES256', kid: 'k' });
    for (const signature of [
      Buffer.alloc(64),
      Buffer.from('3006020100020100', 'hex'),
      Buffer.alloc(0),
    ]) {
      assert.equal(
        await outcome(`${head}.${body}.${signature.toString('base64url')}`),
        'bad_signature',
      );
    }
  });

  test('twins: the same token in another spelling', async () => {
    const token = await sign({});
    assert.equal(await outcome(`${token}=`), 'malformed');
    assert.equal(await outcome(token.replace('.', '.\n')), 'malformed');
    assert.equal(await outcome(`${token}.`), 'malformed');
  });

  test('tokens of a megabyte and JSON without end cost nothing', async () => {
    assert.equal(await outcome('a'.repeat(1_000_000)), 'token_too_large');
    const deep = Buffer.from('['.repeat(10_000)).toString('base64url');
    assert.equal(await outcome(`${deep}.${body}.AAAA`), 'malformed');
  });
});

suite('keys of a JWKS', () => {
  const jwk = PAIR.publicKey.export({ format: 'jwk' });
  const rsa = (bits: number) =>
    generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ format: 'jwk' });
  const cases: readonly (readonly [
    string,
    Record<string, unknown>,
    readonly string[] | undefined,
  ])[] = [
    ['P-256', jwk, ['ES256']],
    ['RSA', rsa(2048), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['RSA for one algorithm', { ...rsa(2048), alg: 'PS256' }, ['PS256']],
    ['for encryption', { ...jwk, use: 'enc' }, undefined],
    ['for other operations', { ...jwk, key_ops: ['encrypt'] }, undefined],
    ['attack: RSA too short to trust', rsa(1024), undefined],
    ['attack: symmetric', { kty: 'oct', k: 'AAAA' }, undefined],
    ['attack: private', { ...PAIR.privateKey.export({ format: 'jwk' }) }, undefined],
    ['attack: a point off its curve', { ...jwk, y: jwk['x'] }, undefined],
    ['attack: an algorithm of another key type', { ...jwk, alg: 'RS256' }, undefined],
  ];
  for (const [name, value, algorithms] of cases) {
    test(name, async () =>
      assert.deepEqual((await parseKey({ ...value }))?.algorithms, algorithms),
    );
  }

  test('a set without a usable key is an error, one with an unknown kind of key is not', async () => {
    for (const text of [
      '',
      '<html>',
      '[]',
      '{"keys": 1}',
      '{"keys": [{"kty": "oct", "k": "AA"}]}',
    ]) {
      assert.equal((await parseJwks(text)).ok, false, text);
    }
    const mixed = await parseJwks(JSON.stringify({ keys: [{ kty: 'new' }, jwk] }));
    assert.ok(mixed.ok && mixed.value.keys.length === 1 && mixed.value.unusable === 1);
  });

  test('a key id chooses; keys without one are tried', async () => {
    const other = pairFor('ES256');
    const decoded = decodeToken(await sign({}));
    assert.ok(decoded.ok);
    const verify = async (...keys: readonly Named[]) =>
      verifyToken(decoded.value, RULE, await keySet(...keys), NOW_S * 1000);
    assert.deepEqual(await verify([other.publicKey, { kid: 'z' }]), {
      ok: false,
      error: 'unknown_key',
    });
    assert.deepEqual(await verify([other.publicKey]), { ok: false, error: 'bad_signature' });
    assert.ok(
      (await verify([other.publicKey, { kid: undefined }], [PAIR.publicKey, { kid: undefined }]))
        .ok,
    );
  });
});

type Group = {
  readonly comment: string;
  readonly public?: Record<string, unknown>;
  readonly tests: readonly { tcId: number; comment: string; jws: unknown; result: string }[];
};

const corpus = join(
  process.env['PALISADE_CORPORA'] ?? join(import.meta.dirname, '../../../shared/corpora'),
  'jose/json_web_signature_test.json',
);

// Valid JWSs that are refused, by what sets them apart; each number of vectors is counted.
const REFUSED: Readonly<Record<string, number>> = {
  'a shared key, which verifies what anybody signs who reads it': 10,
  "the key's own `alg` is another one than the token's, or none that exists": 4,
};

function reasonOf(group: Group, jws: string): string | undefined {
  const [shared = '', mismatch = ''] = Object.keys(REFUSED);
  if (group.public === undefined) return shared;
  const header = JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString());
  return group.public['alg'] === header.alg ? undefined : mismatch;
}

test("Wycheproof's JWS vectors: nothing invalid verifies, and what is valid does or is refused for a reason", {
  skip: existsSync(corpus) ? false : `no corpus at ${corpus}`,
}, async () => {
  const { testGroups } = JSON.parse(readFileSync(corpus, 'utf8')) as { testGroups: Group[] };
  const differences: string[] = [];
  const refused = new Map<string, number>();
  let verified = 0;
  for (const group of testGroups) {
    const key = await parseKey(group.public ?? {});
    for (const { tcId, comment, jws, result } of group.tests) {
      const decoded = typeof jws === 'string' ? decodeJws(jws) : undefined;
      const isGood =
        key !== undefined &&
        decoded?.ok === true &&
        key.algorithms.includes(decoded.value.algorithm) &&
        verifySignature(
          decoded.value.algorithm,
          key.key,
          decoded.value.signed,
          decoded.value.signature,
        );
      if (isGood) verified++;
      if (isGood === (result === 'valid')) continue;
      const reason = isGood ? undefined : reasonOf(group, String(jws));
      if (reason === undefined) differences.push(`${tcId} ${group.comment} ${comment} ${result}`);
      else refused.set(reason, (refused.get(reason) ?? 0) + 1);
    }
  }
  assert.deepEqual(differences, []);
  assert.deepEqual(Object.fromEntries(refused), REFUSED);
  assert.ok(verified > 25, String(verified));
});

test('the type and curve of a key decide what it verifies', () => {
  assert.deepEqual(algorithmsFor(pairFor('ES384').publicKey), ['ES384']);
  assert.deepEqual(algorithmsFor(pairFor('EdDSA').publicKey), ['EdDSA', 'Ed25519']);
  assert.deepEqual(
    algorithmsFor(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey),
    [],
  );
});
