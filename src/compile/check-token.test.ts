import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claims } from '#policy';
import { checkCall } from './check.ts';
import { idOf, policyYaml, serviceYaml, setsFrom, TRUST_DOMAIN } from './testing/resources.ts';

const USERS = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: default}
spec:
  selector: {matchLabels: {app: orders}}
  jwtRules:
    - issuer: https://id
      jwksUri: https://id/jwks
      audiences: [api]
      spaceDelimitedClaims: [roles, a.b]
      outputClaimToHeaders: [{header: x-role, claim: role}]
---
`;
const ANY_USER = policyYaml(
  'default',
  'p',
  '{rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}',
);
const OTHER_USER = ANY_USER.replace('"*"', '"https://id/eve"');
const NO_USER =
  policyYaml('default', 'open', '{rules: [{}]}') +
  policyYaml(
    'default',
    'p',
    '{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ["*"]}}]}]}',
  );
const BY_HEADER = policyYaml(
  'default',
  'p',
  '{rules: [{when: [{key: "request.headers[x-role]", values: [admin]}]}]}',
);
const GOOD = { iss: 'https://id', sub: 'ada', aud: 'api' };

type Asked = {
  readonly to?: string;
  readonly claims?: Claims;
  readonly headers?: Record<string, string>;
};

/** Checks the verdict and reason of web's `GET /`. */
function check(
  name: string,
  yaml: string,
  { to = 'orders', ...request }: Asked,
  expected: string,
): void {
  test(name, () => {
    const answer = checkCall({
      sets: setsFrom(serviceYaml('default', 'orders') + serviceYaml('default', 'other') + yaml),
      trustDomain: TRUST_DOMAIN,
      from: idOf('default', 'web'),
      to,
      namespace: 'default',
      request: { method: 'GET', path: '/', ...request },
      nowMs: 1_000_000,
    });
    assert.ok(answer.ok, JSON.stringify(answer));
    const { verdict, reason } = answer.value.decision;
    assert.equal(`${verdict} ${reason}`, expected);
  });
}

check(
  'policies alone take claims as they are',
  ANY_USER,
  { claims: { iss: 'x', sub: 'y' } },
  'allow allowed_by_policy',
);
check('a token of the issuer', USERS + ANY_USER, { claims: GOOD }, 'allow allowed_by_policy');
const BY_ROLE = policyYaml(
  'default',
  'p',
  '{rules: [{when: [{key: "request.auth.claims[roles]", values: [admin]}, {key: "request.auth.claims[scope]", values: [read]}]}]}',
);
const ROLES = { ...GOOD, roles: 'user admin', scope: 'read write' };
check('words of claims', USERS + BY_ROLE, { claims: ROLES }, 'allow allowed_by_policy');
check(
  'a claim whose words nobody said are a list is one text',
  USERS.replace('roles, ', '') + BY_ROLE,
  { claims: ROLES },
  'deny no_policy_allows',
);
check(
  'a name with a dot is one name, as in Envoy',
  USERS + BY_ROLE.replace('claims[roles]', 'claims[a.b]'),
  { claims: { ...ROLES, 'a.b': 'x admin' } },
  'allow allowed_by_policy',
);
check('no token where policy asks for one', USERS + ANY_USER, {}, 'deny token_invalid');
check('no token, and nobody whose tokens are valid', ANY_USER, {}, 'deny no_policy_allows');
check(
  'a token that allows too little',
  USERS + OTHER_USER,
  { claims: GOOD },
  'deny no_policy_allows',
);
check(
  'no token, where one would not do: the path is not allowed either',
  USERS + ANY_USER.replace('rules: [{', 'rules: [{to: [{operation: {paths: [/x]}}], '),
  {},
  'deny no_policy_allows',
);
check('no token, and a DENY rule for those without', USERS + NO_USER, {}, 'deny token_invalid');
check(
  'no token, and a DENY rule that no token would open',
  USERS +
    NO_USER.replace(
      'RequestPrincipals: ["*"]}}]}]',
      'RequestPrincipals: ["*"]}}]}, {to: [{operation: {methods: [GET]}}]}]',
    ),
  {},
  'deny policy_denied',
);
check(
  'a token of another issuer',
  USERS + ANY_USER,
  { claims: { ...GOOD, iss: 'x' } },
  'deny token_invalid',
);
check('a token of nobody', USERS + ANY_USER, { claims: { sub: 'ada' } }, 'deny token_invalid');
check(
  'a token for somebody else',
  USERS + ANY_USER,
  { claims: { ...GOOD, aud: 'b' } },
  'deny token_invalid',
);
check('an expired token', USERS + ANY_USER, { claims: { ...GOOD, exp: 1 } }, 'deny token_invalid');
check(
  'a workload that looks at no tokens',
  USERS + ANY_USER,
  { to: 'other', claims: GOOD },
  'deny no_policy_allows',
);
check(
  'a claim becomes a header that policy reads',
  USERS + BY_HEADER,
  { claims: { ...GOOD, role: 'admin' } },
  'allow allowed_by_policy',
);
check(
  'attack: the header without the claim',
  USERS + BY_HEADER,
  { headers: { 'X-Role': 'admin' } },
  'deny no_policy_allows',
);
check(
  'attack: the header beside a token without the claim',
  USERS + BY_HEADER,
  { claims: GOOD, headers: { x_role: 'admin', 'x-role': 'admin' } },
  'deny no_policy_allows',
);
