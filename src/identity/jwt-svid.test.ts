import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { decodeCompact } from './jwt-compact.ts';
import { jwkOf, jwtKeyOf, parseJwk, signEs256, verifyJwtSignature } from './jwt-key.ts';
import {
  type JwtBundle,
  type JwtErrorCode,
  revocableOf,
  signJwtSvid,
  verifyJwtSvid,
} from './jwt-svid.ts';
import { requesterTag } from './revocation.ts';
import { createKeyPair } from './signing-key.ts';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts';
import { parseTrustDomain } from './trust-domain.ts';

const NOW_MS = Date.parse('2026-05-01T12:00:00.000Z');
const NOW_S = NOW_MS / 1000;
const AUDIENCE = 'reports';

const pair = createKeyPair();
const ownKey = jwtKeyOf(pair.publicKey);
const signingKey = { kid: ownKey.kid, privateKey: pair.privateKey };
const bundles = [bundleOf('example.org', ownKey)];
const web = idOf('spiffe://example.org/ns/shop/sa/web');

function bundleOf(trustDomain: string, ...keys: readonly (typeof ownKey)[]): JwtBundle {
  const name = parseTrustDomain(trustDomain);
  assert.ok(name.ok);
  return { trustDomain: name.value, keys: new Map(keys.map((key) => [key.kid, key])) };
}

function idOf(text: string): SpiffeId {
  const id = parseSpiffeId(text);
  assert.ok(id.ok);
  return id.value;
}

function encode(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return Buffer.from(text, 'utf8').toString('base64url');
}

const CLAIMS = { sub: web.text, aud: [AUDIENCE], exp: NOW_S + 300, iat: NOW_S };
const HEADER = { alg: 'ES256', kid: ownKey.kid, typ: 'JWT' };

/** A token of any header and claims, rightly signed. */
function tokenOf(header: unknown = HEADER, claims: unknown = CLAIMS, key = signingKey): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${signEs256(Buffer.from(signed), key).toString('base64url')}`;
}

function codeOf(token: string, more: { bundles?: JwtBundle[]; nowMs?: number } = {}): string {
  const result = verifyJwtSvid(token, { bundles, audience: AUDIENCE, nowMs: NOW_MS, ...more });
  return result.ok ? 'ok' : result.error.code;
}

test('a signature is 64 bytes and verifies, also where one of its numbers begins with zeros', () => {
  // One number in 256 is short.
  for (let i = 0; i < 1000; i++) {
    const bytes = Buffer.from(`message ${i}`);
    const signature = signEs256(bytes, signingKey);
    assert.equal(signature.length, 64);
    assert.ok(verifyJwtSignature('ES256', bytes, signature, ownKey), signature.toString('hex'));
  }
});

test('a token names the agent that asked for it, by which it is revoked with it', () => {
  const requester = requesterTag('spiffe://example.org/palisade/agent/one');
  const about = { key: signingKey, id: web, audience: [AUDIENCE], jti: '0123' };
  const times = { issuedAt: NOW_MS, expiresAt: NOW_MS + 300_000 };
  for (const expected of [requester, undefined]) {
    const token = signJwtSvid({ ...about, ...times, requester: expected });
    const svid = verifyJwtSvid(token, { bundles, audience: AUDIENCE, nowMs: NOW_MS });
    assert.ok(svid.ok);
    assert.equal(revocableOf(svid.value).requester, expected);
  }
  const odd = verifyJwtSvid(tokenOf(HEADER, { ...CLAIMS, 'palisade.dev/requester': [requester] }), {
    bundles,
    audience: AUDIENCE,
    nowMs: NOW_MS,
  });
  assert.ok(odd.ok);
  assert.equal(revocableOf(odd.value).requester, undefined);
});

test('what is signed verifies, and holds nothing that was not asked for', () => {
  const token = signJwtSvid({
    key: signingKey,
    id: web,
    audience: [AUDIENCE, 'other'],
    issuedAt: NOW_MS,
    expiresAt: NOW_MS + 300_999,
    jti: '0123',
  });
  const svid = verifyJwtSvid(token, { bundles, audience: 'other', nowMs: NOW_MS });
  assert.ok(svid.ok);
  assert.deepEqual(svid.value.id, web);
  assert.deepEqual(svid.value.claims, {
    aud: [AUDIENCE, 'other'],
    exp: NOW_S + 300,
    iat: NOW_S,
    jti: '0123',
    sub: web.text,
  });
  const [header = ''] = token.split('.');
  assert.deepEqual(JSON.parse(Buffer.from(header, 'base64url').toString()), HEADER);
});

describe('headers', () => {
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' });
  const hmac = (() => {
    const signed = `${encode({ ...HEADER, alg: 'HS256' })}.${encode(CLAIMS)}`;
    return `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`;
  })();
  const unsigned = `${encode({ alg: 'none' })}.${encode(CLAIMS)}.`;
  const cases: [string, string, JwtErrorCode | 'ok'][] = [
    ['attack: algorithm none', unsigned, 'malformed'],
    ['attack: an HMAC with the public key as its secret', hmac, 'malformed'],
    ['attack: `None` in other letters', tokenOf({ ...HEADER, alg: 'NoNe' }), 'malformed'],
    ['attack: a prototype member as algorithm', tokenOf({ alg: '__proto__' }), 'malformed'],
    [
      'attack: an algorithm that the key is not for',
      tokenOf({ ...HEADER, alg: 'RS256' }),
      'bad_signature',
    ],
    [
      'attack: a token that brings its own key',
      tokenOf({ ...HEADER, jwk: jwkOf(ownKey, 'sig') }),
      'malformed',
    ],
    [
      'attack: a token that says where its key is',
      tokenOf({ ...HEADER, jku: 'https://evil' }),
      'malformed',
    ],
    ['a critical extension', tokenOf({ ...HEADER, crit: ['exp'] }), 'malformed'],
    ['no algorithm', tokenOf({ kid: ownKey.kid }), 'malformed'],
    ['another type', tokenOf({ ...HEADER, typ: 'at+jwt' }), 'malformed'],
    ['type JOSE', tokenOf({ ...HEADER, typ: 'JOSE' }), 'ok'],
    ['no type and no key id, both being optional', tokenOf({ alg: 'ES256' }), 'ok'],
    ['a key id that no key has', tokenOf({ ...HEADER, kid: 'x' }), 'unknown_key'],
    ['a key id that is no text', tokenOf({ ...HEADER, kid: 1 }), 'malformed'],
    ['attack: a huge header', tokenOf({ ...HEADER, typ: 'J'.repeat(1_000_000) }), 'malformed'],
    [
      'attack: a header beyond its limit',
      tokenOf({ ...HEADER, kid: 'k'.repeat(4000) }),
      'malformed',
    ],
    ['no JSON', tokenOf('{'), 'malformed'],
    ['a list', tokenOf([]), 'malformed'],
    ['two parts', encode(HEADER), 'malformed'],
    ['four parts', `${tokenOf()}.`, 'malformed'],
    ['padding', `${tokenOf()}==`, 'malformed'],
    ['a twin: other bits behind the last byte', twinOf(tokenOf()), 'malformed'],
    ['nothing', '', 'malformed'],
  ];
  for (const [name, token, code] of cases) test(name, () => assert.equal(codeOf(token), code));
});

/** The same signature bytes in another spelling. */
function twinOf(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(token.at(-1) ?? '');
  return token.slice(0, -1) + alphabet[last ^ 1];
}

describe('claims', () => {
  const without = (name: string) => {
    const { [name]: _, ...rest } = CLAIMS as Record<string, unknown>;
    return rest;
  };
  const cases: [string, unknown, JwtErrorCode | 'ok'][] = [
    ['no subject', without('sub'), 'bad_claims'],
    ['no audience', without('aud'), 'bad_claims'],
    ['an empty audience', { ...CLAIMS, aud: [] }, 'bad_claims'],
    ['an audience of something else', { ...CLAIMS, aud: [1] }, 'bad_claims'],
    ['an audience as text', { ...CLAIMS, aud: AUDIENCE }, 'ok'],
    ['another audience', { ...CLAIMS, aud: ['billing'] }, 'wrong_audience'],
    [
      'attack: an audience that only begins the same',
      { ...CLAIMS, aud: `${AUDIENCE}2` },
      'wrong_audience',
    ],
    ['no expiry', without('exp'), 'bad_claims'],
    ['an expiry as text', { ...CLAIMS, exp: '9999999999' }, 'bad_claims'],
    ['an expiry beyond time', { ...CLAIMS, exp: 1e300 }, 'bad_claims'],
    ['expired within the leeway', { ...CLAIMS, exp: NOW_S - 59 }, 'ok'],
    ['expired', { ...CLAIMS, exp: NOW_S - 60 }, 'expired'],
    ['not yet valid', { ...CLAIMS, nbf: NOW_S + 61 }, 'not_yet_valid'],
    ['issued in the future', { ...CLAIMS, iat: NOW_S + 61 }, 'not_yet_valid'],
    ['no issue time, it being optional', without('iat'), 'ok'],
    [
      'a subject that is a trust domain',
      { ...CLAIMS, sub: 'spiffe://example.org' },
      'bad_spiffe_id',
    ],
    ['a subject that is no SPIFFE ID', { ...CLAIMS, sub: 'alice' }, 'bad_spiffe_id'],
    [
      'a subject with percent signs',
      { ...CLAIMS, sub: 'spiffe://example.org/%61' },
      'bad_spiffe_id',
    ],
    ['a subject of 2,049 bytes', { ...CLAIMS, sub: web.text.padEnd(2049, 'x') }, 'bad_spiffe_id'],
    [
      'a subject of a foreign trust domain',
      { ...CLAIMS, sub: 'spiffe://other.org/x' },
      'wrong_trust_domain',
    ],
    ['no object', [CLAIMS], 'malformed'],
  ];
  for (const [name, claims, code] of cases) {
    test(name, () => assert.equal(codeOf(tokenOf(HEADER, claims)), code));
  }
});

test('attack: a neighbour signs for our trust domain with its own key', () => {
  const other = createKeyPair();
  const key = jwtKeyOf(other.publicKey);
  const both = [...bundles, bundleOf('neighbour.org', key)];
  const forged = tokenOf({ ...HEADER, kid: key.kid }, CLAIMS, {
    ...key,
    privateKey: other.privateKey,
  });
  assert.equal(codeOf(forged, { bundles: both }), 'unknown_key');
  // Nor with a key that has the name of one of ours, nor with none.
  const named = jwtKeyOf(other.publicKey);
  const same = [...bundles, bundleOf('neighbour.org', { ...named, kid: ownKey.kid })];
  const renamed = { kid: ownKey.kid, privateKey: other.privateKey };
  assert.equal(codeOf(tokenOf(HEADER, CLAIMS, renamed), { bundles: same }), 'bad_signature');
  assert.equal(
    codeOf(tokenOf({ alg: 'ES256' }, CLAIMS, renamed), { bundles: same }),
    'bad_signature',
  );
});

test('no prefix of a token and none with a changed byte verifies', () => {
  const token = tokenOf();
  for (let length = 0; length < token.length; length++) {
    assert.notEqual(codeOf(token.slice(0, length)), 'ok');
  }
  for (let at = 0; at < token.length; at++) {
    const changed = token[at] === 'A' ? 'B' : 'A';
    assert.notEqual(codeOf(token.slice(0, at) + changed + token.slice(at + 1)), 'ok', String(at));
  }
});

describe('JWKs', () => {
  const jwk = jwkOf(ownKey, 'jwt-svid');
  const rsa = (bits: number) => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits });
    return { ...publicKey.export({ format: 'jwk' }), kid: 'r' };
  };
  const cases: [string, Record<string, unknown>, readonly string[] | undefined][] = [
    ['a P-256 key', jwk, ['ES256']],
    ['an RSA key', rsa(2048), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    ['an RSA key for one algorithm', { ...rsa(2048), alg: 'PS256' }, ['PS256']],
    ['attack: an RSA key that is too short', rsa(1024), undefined],
    ['a key for another algorithm than it can', { ...jwk, alg: 'RS256' }, undefined],
    ['without a key id', { ...jwk, kid: undefined }, undefined],
    ['attack: a symmetric key', { kty: 'oct', k: 'AAAA', kid: 'k' }, undefined],
    ['a private key', { ...pair.privateKey.export({ format: 'jwk' }), kid: 'k' }, undefined],
    ['attack: a point off its curve', { ...jwk, y: jwk['x'] }, undefined],
    ['for other operations', { ...jwk, key_ops: ['encrypt'] }, undefined],
    [
      'an Edwards key, which JWT-SVIDs do not know',
      { kty: 'OKP', crv: 'Ed25519', x: 'AAAA', kid: 'k' },
      undefined,
    ],
  ];
  for (const [name, value, algorithms] of cases) {
    test(name, () => assert.deepEqual(parseJwk(value)?.algorithms, algorithms));
  }
});

type Group = {
  readonly comment: string;
  readonly public?: Record<string, unknown>;
  readonly private: Record<string, unknown>;
  readonly tests: readonly { tcId: number; comment: string; jws: unknown; result: string }[];
};

const corpus = join(
  process.env['PALISADE_CORPORA'] ?? join(import.meta.dirname, '../../../shared/corpora'),
  'jose/json_web_signature_test.json',
);
const skip = existsSync(corpus) ? false : `no corpus at ${corpus}`;

// Valid JWSs that are no JWT-SVIDs, by what sets them apart.
const REFUSED: Readonly<Record<string, string>> = {
  hmac: 'a shared key, which JWT-SVID section 2.1 excludes',
  'other algorithm': "the key's own `alg` is another one than the token's, or none that exists",
};

function reasonOf(group: Group, jws: string): string | undefined {
  if (group.public === undefined) return 'hmac';
  const header = JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString());
  return group.public['alg'] === header.alg ? undefined : 'other algorithm';
}

test("Wycheproof's JWS vectors: nothing invalid verifies, and what is valid does unless it is no JWT-SVID", {
  skip,
}, () => {
  const { testGroups } = JSON.parse(readFileSync(corpus, 'utf8')) as { testGroups: Group[] };
  const differences: string[] = [];
  const used = new Set<string>();
  let verified = 0;
  for (const group of testGroups) {
    const use = group.public?.['use'];
    const key = use === undefined || use === 'sig' ? parseJwk(group.public ?? {}) : undefined;
    for (const { tcId, comment, jws, result } of group.tests) {
      const decoded = typeof jws === 'string' ? decodeCompact(jws) : undefined;
      const isGood =
        key !== undefined &&
        decoded?.ok === true &&
        verifyJwtSignature(
          decoded.value.algorithm,
          decoded.value.signed,
          decoded.value.signature,
          key,
        );
      if (isGood) verified++;
      if (isGood === (result === 'valid')) continue;
      const reason = isGood ? undefined : reasonOf(group, String(jws));
      if (reason === undefined) differences.push(`${tcId} ${group.comment} ${comment} ${result}`);
      else used.add(reason);
    }
  }
  assert.deepEqual(differences, []);
  assert.deepEqual([...used].sort(), Object.keys(REFUSED).sort());
  assert.ok(verified > 25, String(verified));
});
