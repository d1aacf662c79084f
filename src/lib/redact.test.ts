// The corpus of what must go and what must stay.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isSecretHeader, type RedactOptions, redactText } from './redact.ts';

const JWT = `eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.${'Ab9_'.repeat(12)}`;

function gone(name: string, text: string, expected: string, options?: RedactOptions): void {
  test(`goes: ${name}`, () => assert.equal(redactText(text, options), expected));
}

function stays(text: string, options?: RedactOptions): void {
  test(`stays: ${text.slice(0, 80)}`, () => assert.equal(redactText(text, options), text));
}

const PATH = { opaque: true };
gone('a JWT in a path', `/verify/${JWT}/done`, '/verify/[redacted:token]/done', PATH);
gone('a JWT in a sentence', `the token ${JWT} expired`, 'the token [redacted:token] expired');
gone('an opaque token', '/reset/x9Kq2LmZ7pTr4WvB8nYc3HdF6jGs1QaE', '/reset/[redacted:token]', PATH);
gone(
  'an e-mail address',
  '/users/alice@example.org/orders',
  '/users/[redacted:email]/orders',
  PATH,
);
gone('one percent-encoded', '/users/alice%40example.org', '/users/[redacted:email]', PATH);
gone('one with a tag', 'mail to a.b+c@mail.example.co.uk now', 'mail to [redacted:email] now');
gone('a card number', '/pay/4111111111111111', '/pay/[redacted:card]', PATH);
gone('one with spaces', 'card 5500 0000 0000 0004.', 'card [redacted:card].');
gone('one with hyphens', '3782-822463-10005', '[redacted:card]');
gone(
  'a password in a URL',
  'GET https://bob:hunter2@h/x failed',
  'GET https://[redacted:userinfo]@h/x failed',
);
gone(
  'of another scheme',
  'postgres://app:s3cr3t@db:5432/x',
  'postgres://[redacted:userinfo]@db:5432/x',
);
gone('a user alone', 'https://ghp@github.com/x', 'https://[redacted:userinfo]@github.com/x');
gone(
  'a query',
  'fetching https://h/jwks?sig=abc&x=1 failed',
  'fetching https://h/jwks?[redacted:query] failed',
);
gone(
  'a bearer token',
  'authorization was Bearer abcdef123456',
  'authorization was Bearer [redacted:token]',
);
gone('basic credentials', 'Basic dXNlcjpwYXNzd29yZA==', 'Basic [redacted:token]');
gone('a cookie', 'sent Cookie: sid=abc; theme=dark', 'sent Cookie: [redacted:cookie]');
gone('a set cookie', 'set-cookie: id=1; HttpOnly', 'set-cookie: [redacted:cookie]');
gone(
  'a matrix parameter',
  '/app;jsessionid=AB12CD34/x',
  '/app;jsessionid=[redacted:secret]/x',
  PATH,
);
gone('a parameter', 'login password=hunter2 user=bob', 'login password=[redacted:secret] user=bob');
gone('JSON', '{"apiKey":"abc","n":1}', '{"apiKey":"[redacted:secret]","n":1}');
gone('an environment variable', 'DB_PASSWORD=hunter2', 'DB_PASSWORD=[redacted:secret]');
gone('an AWS key', 'AKIAIOSFODNN7EXAMPLE', '[redacted:key]');
gone('a GitHub token', `/x/ghp_${'a1B2'.repeat(9)}`, '/x/[redacted:key]', PATH);
gone('a Slack token', 'xoxb-123456789012-abcdefGHIJ', '[redacted:key]');
gone('a join token', 'palisade-join.eyJwYXlsb2FkIjoiYWJj', '[redacted:key]');
const PEM = ['-----BEGIN EC PRIVATE KEY-----', 'MHcCAQEEIB', '-----END EC PRIVATE KEY-----'];
gone('a private key', `key is ${PEM.join('\n')}.`, 'key is [redacted:key].');
gone('half of one', `${PEM[0]}\nMHc`, '[redacted:key]');

// Where people do not look for them: escaped, escaped twice, in other scripts, behind other words, in other quotes.
const BASE64 = 'q83vEjRWeJCr+ze8SNFZ4kKs3vASNFZ4kKvN7+8BIzQ=';
const escaped = encodeURIComponent;
gone('behind an escaped =', '/x;password%3Dhunter2/y', '/x;password=[redacted:secret]/y', PATH);
gone('an address escaped twice', '/u/alice%2540example.org', '/u/[redacted:email]', PATH);
gone(
  'a card in escapes',
  `/p/${'4111'.replaceAll(/./g, '%3$&')}111111111111`,
  '/p/[redacted:card]',
  PATH,
);
gone('an escaped query', '/cb%3Fcode%3Dabc', '/cb?[redacted:query]', PATH);
gone('escaped userinfo', '/go/https:%2F%2Fbob:pw@h', '/go/https:%2F%2F[redacted:userinfo]@h', PATH);
gone('a JWT behind a word', `/verify_${JWT}`, '/verify_[redacted:token]', PATH);
gone('a JWT behind names', `host.example.${JWT}`, 'host.example.[redacted:token]');
gone('two JWTs', `${JWT}.${JWT}`, '[redacted:token]');
gone('base64', `/b/${BASE64}`, '/b/[redacted:token]', PATH);
gone('base64 in escapes', `/b/${escaped(BASE64)}`, '/b/[redacted:token]', PATH);
gone(
  'base64 with slashes',
  `/b/${escaped(BASE64.replaceAll('+', '/'))}`,
  '/b/[redacted:token]',
  PATH,
);
gone('base32', '/i/JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', '/i/[redacted:token]', PATH);
gone('base36', '/i/k3v9x2aab7qw4m5n6p7r8s9t0u1v2w3x', '/i/[redacted:token]', PATH);
gone('a value with slashes', 'DB_PASSWORD=ab/cd/ef x', 'DB_PASSWORD=[redacted:secret] x');
gone('a quoted value', 'password="a b, c" y', 'password="[redacted:secret]" y');
gone(
  'JSON with separators',
  '{"token":"a b,c&d\\"e","n":1}',
  '{"token":"[redacted:secret]","n":1}',
);
gone(
  'JSON in JSON',
  '{\\"password\\":\\"hunter2 x\\"}',
  '{\\"password\\":\\"[redacted:secret]\\"}',
);
gone('any scheme', 'authorization: ApiKey abcdef', 'authorization: [redacted:token]');
gone(
  'a scheme with parameters',
  'Authorization: Digest a="b", c="d"',
  'Authorization: [redacted:token]',
);
gone(
  'authorization in JSON',
  '{"authorization":"Own a b","n":1}',
  '{"authorization":"[redacted:token]","n":1}',
);
gone('an address of another script', 'jürgen@exämple.org', '[redacted:email]');
gone('the same escaped', '/u/j%C3%BCrgen@ex%C3%A4mple.org', '/u/[redacted:email]', PATH);
gone('userinfo with an @', 'https://bob:p@ss@h/x', 'https://[redacted:userinfo]@h/x');
gone('a query of a relative address', 'GET /cb?code=abc&x=1 HTTP', 'GET /cb?[redacted:query] HTTP');
gone('a form', 'Bearer+abcdefgh1234', 'Bearer+[redacted:token]');
gone('a PGP key', '-----BEGIN PGP PRIVATE KEY BLOCK-----\nabc', '[redacted:key]');
gone('a webhook secret', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '[redacted:key]');
gone('a Vault token', 'x_hvs.CAESIJabcdefghijklmnop1234', 'x_[redacted:key]');
gone('digits of full width', `no. ４${'１'.repeat(15)}`, 'no. [redacted:card]');
gone('Arabic digits', `٤${'١'.repeat(15)}`, '[redacted:card]');
gone('a card of the other series', '/pay/2221000000000009', '/pay/[redacted:card]', PATH);

test('what is left of a decoded text has no control characters, and is not taken for another path', () => {
  const line = redactText('/a%0a%2Fb%25/password%3Dx', PATH);
  assert.equal(line, '/a%0A%2Fb%25/password=[redacted:secret]');
  const broken = redactText('x=%ff%fe password%3D%FFhunter2');
  assert.equal(broken, 'x=%EF%BF%BD%EF%BF%BD password=[redacted:secret]');
  assert.equal(redactText('%ff%fe is kept as it is'), '%ff%fe is kept as it is');
});

stays('/orders/17/items', PATH);
stays('/caf%C3%A9/%E6%97%A5%E6%9C%AC', PATH);
stays('/caf%c3%a9%ff/100%25', PATH);
stays('/search/jürgen meets 4 people at 10:30', PATH);
stays('/pods/orders-7d9f8b6c5d-x2x4z-550e8400-e29b-41d4-a716-446655440000', PATH);
stays(`/blobs/sha256${'0f'.repeat(32)}`, PATH);
stays('what is it? nobody=knows');
stays('/v1/users/550e8400-e29b-41d4-a716-446655440000', PATH);
stays(`/blobs/sha256:${'0f'.repeat(32)}`, PATH);
stays('/assets/main-layout-of-the-page.min.js', PATH);
stays('/com.example.orders.v1.OrderService/ListAllOrdersOfTheCustomer2', PATH);
stays('/kubernetes/api/v1/namespaces/default/pods', PATH);
stays('/time/1800000000000', PATH);
stays('/card/4111111111111112', PATH);
stays('/orders/12345678901234567890123', PATH);
stays('spiffe://cluster.local/ns/default/sa/web');
stays('policy default/orders rule 0 at default@12 palisade-system@3');
stays('connect ECONNREFUSED 127.0.0.1:8080');
stays('the certificate expired at 2026-05-01T12:00:00.000Z');
stays('no registration for unix:uid:1000 and unix:path:/usr/bin/node');
stays('/a path with [redacted:email] in it');

test('what is joined by a keyed hash is named by it, and equal for what is equal', () => {
  const hash = (kind: string, secret: string) =>
    kind === 'email' ? `h${secret.length}` : undefined;
  assert.equal(redactText('/u/a@b.org', { hash }), '/u/[redacted:email:h7]');
  assert.equal(redactText('Bearer abcdefgh1', { hash }), 'Bearer [redacted:token]');
});

test('redacting twice changes nothing', () => {
  const once = redactText(`Bearer ${JWT} alice@example.org password=x https://a:b@c/d?e=f`);
  assert.equal(redactText(once), once);
});

test('names of headers that hold secrets, and of others', () => {
  const secret = [
    'Authorization',
    'proxy-authorization',
    'Cookie',
    'set-cookie',
    'x-api-key',
    'X_API_KEY',
  ];
  secret.push(
    'x-auth-token',
    'x-amz-security-token',
    'x-csrf-token',
    'x-hub-signature-256',
    'Ocp-Apim-Subscription-Key',
    'x-functions-key',
    'DPoP',
  );
  for (const name of secret) assert.equal(isSecretHeader(name), true, name);
  for (const name of [
    'user-agent',
    'x-request-id',
    'idempotency-key',
    'accept',
    'content-type',
    'traceparent',
  ]) {
    assert.equal(isSecretHeader(name), false, name);
  }
});

test('attack: text made to keep the expressions busy takes no time', () => {
  const texts = [
    'a'.repeat(200_000),
    '@'.repeat(50_000),
    'a@'.repeat(50_000),
    '4'.repeat(100_000),
    '4 '.repeat(50_000),
    'eyJ'.repeat(30_000),
    'eyJa.'.repeat(30_000),
    '-----BEGIN PRIVATE KEY-----'.repeat(3_000),
    'https://'.repeat(10_000),
    'https://a?'.repeat(10_000),
    'password='.repeat(10_000),
    'x.'.repeat(50_000),
    `${'a.'.repeat(40)}password`.repeat(1_000),
    'Bearer '.repeat(10_000),
    'authorization:'.repeat(5_000),
    '\\"token\\":\\"'.repeat(5_000),
    '%2540'.repeat(10_000),
    'é.'.repeat(20_000),
    'eyJ_'.repeat(20_000),
  ];
  for (const text of texts) {
    const startedAt = performance.now();
    redactText(text, PATH);
    // Milliseconds where it is linear; seconds, and minutes, where it is not.
    assert.ok(performance.now() - startedAt < 1_500, text.slice(0, 20));
  }
});

test('whatever stands around it, a secret goes', () => {
  const around = fc.string({ maxLength: 20 });
  fc.assert(
    fc.property(around, around, (before, after) => {
      const text = redactText(`${before} alice@example.org ${after} ${JWT} x`);
      assert.doesNotMatch(text, /alice@example\.org/);
      assert.ok(!text.includes(JWT));
    }),
  );
});
