import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCall } from './check.ts';
import { idOf, policyYaml, setsFrom, TRUST_DOMAIN } from './testing/resources.ts';

const ALLOW_ALL = policyYaml('shop', 'all', '{rules: [{}]}');
const NO_ADMIN = '{action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}]}';
const RULES = '[{from: [{source: {serviceAccounts: [web]}}]}]';

function exceptionYaml(namespace: string, policy: string, rules = RULES): string {
  return `---
apiVersion: palisade.dev/v1
kind: PolicyException
metadata: {name: e, namespace: ${namespace}}
spec: {policy: ${policy}, owner: ops, ticket: OPS-17, expiresAt: "2026-06-01T00:00:00Z", rules: ${rules}}
`;
}

/** Checks a call of `/admin` to a service of `shop` by one of its accounts, at an instant. */
function check(
  name: string,
  yaml: string,
  wanted: string,
  more: { readonly from?: string; readonly at?: string } = {},
): void {
  test(name, () => {
    const found = checkCall({
      sets: setsFrom(ALLOW_ALL + yaml),
      trustDomain: TRUST_DOMAIN,
      from: idOf('shop', more.from ?? 'web'),
      to: 'shop/orders',
      namespace: 'shop',
      request: { method: 'GET', path: '/admin' },
      nowMs: Date.parse(more.at ?? '2026-05-31T23:59:59Z'),
    });
    assert.ok(found.ok, JSON.stringify(found));
    const { verdict, policy, exception } = found.value.decision;
    assert.equal([verdict, policy, exception ?? '-'].join(' '), wanted);
  });
}

const OWN = policyYaml('shop', 'no-admin', NO_ADMIN);
const ROOT = policyYaml('palisade-system', 'no-admin', NO_ADMIN);

check('without an exception', OWN, 'deny shop/no-admin -');
check(
  'an exception lets its calls through',
  OWN + exceptionYaml('shop', 'no-admin'),
  'allow shop/all shop/e',
);
check('and of nobody else', OWN + exceptionYaml('shop', 'no-admin'), 'deny shop/no-admin -', {
  from: 'api',
});
check(
  'and no longer than it says',
  OWN + exceptionYaml('shop', 'no-admin'),
  'deny shop/no-admin -',
  {
    at: '2026-06-01T00:00:00Z',
  },
);
check(
  'a namespace cannot except itself from a guardrail of the root namespace',
  ROOT + exceptionYaml('shop', 'no-admin'),
  'deny palisade-system/no-admin -',
);
check(
  'a namespace cannot allow what a guardrail denies',
  ROOT + policyYaml('shop', 'more', '{rules: [{to: [{operation: {paths: ["/admin"]}}]}]}'),
  'deny palisade-system/no-admin -',
);
check(
  'the root namespace excepts from its own guardrails',
  ROOT + exceptionYaml('palisade-system', 'no-admin', '[{from: [{source: {namespaces: [shop]}}]}]'),
  'allow shop/all palisade-system/e',
);
check(
  'an exception from one policy leaves the others',
  OWN + ROOT + exceptionYaml('shop', 'no-admin'),
  'deny palisade-system/no-admin -',
);
