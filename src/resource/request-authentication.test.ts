import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { parseResources } from './parse.ts';

function parse(rule: string, spec = '') {
  const text = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users}
spec: {${spec}jwtRules: [${rule}]}
`;
  return parseResources([{ file: 'f', text }], { defaultNamespace: 'shop' });
}

const URI = 'jwksUri: "https://id.example.com/jwks"';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const jwks = (key: object) => `jwks: '${JSON.stringify({ keys: [key] })}'`;

/** Checks the codes of the problems of one rule. */
function check(name: string, rule: string, codes: readonly string[], spec = ''): void {
  test(name, () => {
    assert.deepEqual(
      parse(rule, spec).diagnostics.map(({ code }) => code),
      codes,
    );
  });
}

check('an address', `{issuer: i, ${URI}}`, []);
check(
  'an address in the other spelling',
  '{issuer: i, jwks_uri: "https://id.example.com/jwks"}',
  [],
);
check('an address on this machine', '{issuer: i, jwksUri: "http://127.0.0.1:8080/jwks"}', []);
check('keys inline', `{issuer: i, ${jwks(publicKey.export({ format: 'jwk' }))}}`, []);
check(
  'every field',
  `{issuer: i, ${URI}, audiences: [a], fromHeaders: [{name: X-A, prefix: "T "}], fromParams: [t], fromCookies: [c], outputPayloadToHeader: x-p, outputClaimToHeaders: [{header: x-c, claim: c}], forwardOriginalToken: true, spaceDelimitedClaims: [roles, teams], timeout: 2s, clockSkew: 5s, dpop: REQUIRED, certificateBound: true}`,
  [],
);
check('no keys', '{issuer: i}', ['missing_field']);
check('keys in two places', `{issuer: i, ${URI}, ${jwks(publicKey.export({ format: 'jwk' }))}}`, [
  'conflicting_fields',
]);
check(
  'attack: plain http to another machine',
  '{issuer: i, jwksUri: "http://id.example.com/jwks"}',
  ['bad_value'],
);
check('attack: a file', '{issuer: i, jwksUri: "file:///etc/passwd"}', ['bad_value']);
check('attack: a password in the address', '{issuer: i, jwksUri: "https://a:b@id.example.com/"}', [
  'bad_value',
]);
check('attack: a private key', `{issuer: i, ${jwks(privateKey.export({ format: 'jwk' }))}}`, [
  'bad_value',
]);
check('attack: a shared secret', `{issuer: i, ${jwks({ kty: 'oct', k: 'AAAA' })}}`, ['bad_value']);
check(
  'attack: a claim that would write a header of the sidecar',
  `{issuer: i, ${URI}, outputClaimToHeaders: [{header: x-forwarded-client-cert, claim: c}]}`,
  ['bad_value'],
);
check(
  'attack: a claim that would frame the message',
  `{issuer: i, ${URI}, outputPayloadToHeader: Content-Length}`,
  ['bad_value'],
);
check(
  'attack: a header with a line break',
  `{issuer: i, ${URI}, outputPayloadToHeader: "x\\r\\ny"}`,
  ['bad_value'],
);
check('a typing error', `{issuer: i, ${URI}, audience: [a]}`, ['unknown_field']);
check(
  'by selector and by target',
  `{issuer: i, ${URI}}`,
  ['conflicting_fields'],
  'selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: web}], ',
);
