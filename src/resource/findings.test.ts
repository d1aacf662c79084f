// What people get wrong most, each found at its line and column and with what to do about it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crossCheck } from './cross-check.ts';
import { parseResources } from './parse.ts';

const SERVICES = `
---
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: orders}
spec: {ports: [{name: http, port: 80, protocol: http, targetPort: 8080}]}
---
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: redis}
spec: {ports: [{port: 6379, protocol: tcp}]}
---
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80, protocol: http}]}
`;

type Finding = readonly [where: string, severity: string, code: string, help: RegExp];

/** A policy, from its `spec` on in line 4, beside the services above gives exactly these findings. */
function check(name: string, spec: string, expected: readonly Finding[], more = ''): void {
  test(name, () => {
    const text = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: default}
spec:
${spec}${SERVICES}${more}`;
    const parsed = parseResources([{ file: 'policies.yaml', text }], {
      defaultNamespace: 'default',
    });
    const found = [...parsed.diagnostics, ...crossCheck(parsed.resources, [])];
    assert.deepEqual(
      found.map(({ line, column, severity, code }) => [`${line}:${column}`, severity, code]),
      expected.map(([where, severity, code]) => [where, severity, code]),
    );
    for (const [i, { file, help, lineText }] of found.entries()) {
      assert.equal(file, 'policies.yaml');
      assert.match(help ?? '', expected[i]?.[3] ?? /^$/);
      assert.equal(lineText, text.split('\n')[(found[i]?.line ?? 0) - 1]);
    }
  });
}

const rule = (text: string, app = 'orders', action = 'ALLOW') =>
  `  selector: {matchLabels: {app: ${app}}}
  action: ${action}
  rules:
    - ${text}`;

check(
  'HTTP fields on a TCP port',
  rule('to: [{operation: {methods: [GET], paths: [/x]}}]', 'redis'),
  [
    ['8:25', 'error', 'http_field_on_tcp', /judge TCP by `principals`/],
    ['8:41', 'error', 'http_field_on_tcp', /protocol: http/],
  ],
);
check('a policy that selects nothing', rule('{}', 'ordres'), [
  ['5:3', 'warning', 'no_workload_selected', /a workload has the label `app: SERVICE`/],
]);
check(
  'a principal of an unknown service',
  rule('from: [{source: {principals: [cluster.local/ns/shop/sa/wbe]}}]'),
  [['8:37', 'warning', 'unknown_principal', /did you mean `cluster.local\/ns\/shop\/sa\/web`\?/]],
);
check(
  'a wildcard wider than its author’s namespace',
  rule('from: [{source: {principals: ["*/sa/web"], namespaces: ["sh*"]}}]'),
  [
    ['8:37', 'warning', 'wide_wildcard', /name the callers/],
    ['8:63', 'warning', 'wide_wildcard', /or the namespaces one by one/],
  ],
);
check('a method in lower case never matches', rule('to: [{operation: {methods: [get]}}]'), [
  ['8:35', 'warning', 'never_matches', /write `GET`/],
]);
check('a path with a query never matches', rule('to: [{operation: {paths: ["/a?b=c"]}}]'), [
  ['8:33', 'warning', 'never_matches', /write `\/a`/],
]);
check(
  'a network that is excluded again',
  rule('from: [{source: {ipBlocks: [10.1.0.0/16], notIpBlocks: [10.0.0.0/8]}}]'),
  [['8:24', 'warning', 'never_matches', /remove what is in both lists/]],
);
check(
  'callers of another namespace than the one asked for',
  rule('from: [{source: {principals: [cluster.local/ns/shop/sa/web], namespaces: [default]}}]'),
  [['8:68', 'warning', 'never_matches', /name callers of the namespaces/]],
);
check(
  'values of a condition that are excluded again',
  rule('when: [{key: "request.headers[x]", values: [abc], notValues: ["a*"]}]'),
  [['8:42', 'warning', 'never_matches', /remove what is in both lists/]],
);
check('a port that the service does not have', rule('to: [{operation: {ports: ["81"]}}]'), [
  ['8:33', 'warning', 'never_matches', /they have 80/],
]);
check('the port of the application', rule('to: [{operation: {ports: ["8080"]}}]'), [
  ['8:33', 'warning', 'never_matches', /write 80, the port that callers use/],
]);

check(
  'attack: letters that only look like the right ones deny nothing',
  rule(
    'to: [{operation: {paths: ["/p\u0430y/*", "/caf\u00e9"], hosts: [b\u00fccher.example], methods: ["G\u0415T"]}}]',
    'orders',
    'DENY',
  ),
  [
    ['8:33', 'warning', 'never_matches', /type it again if it only looks right.*`\/p%D0%B0y\/\*`/],
    ['8:43', 'warning', 'never_matches', /`\/caf%C3%A9`/],
    ['8:61', 'warning', 'never_matches', /`xn--bcher-kva\.example`/],
    ['8:61', 'warning', 'host_port_missed', /:\*/],
    ['8:88', 'warning', 'never_matches', /letters A to Z/],
  ],
);
check(
  'attack: names with letters of other scripts, or that take no room, are nobody’s',
  rule(
    'from: [{source: {principals: ["cluster.local/ns/shop/sa/w\u0435b"], namespaces: ["sh\u200bop"]}}]',
  ),
  [
    ['8:37', 'warning', 'never_matches', /write the whole identity/],
    ['8:83', 'warning', 'never_matches', /lower-case letters, digits/],
    ['8:70', 'warning', 'never_matches', /name callers of the namespaces/],
    ['8:83', 'warning', 'unknown_principal', /correct the name|did you mean/],
  ],
);

const DENY = (rules: string) => `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a-denial, namespace: default}
spec: {action: DENY, rules: [${rules}]}
`;
const FROM_SHOP =
  'from: [{source: {principals: [cluster.local/ns/shop/sa/web], ipBlocks: [10.1.2.0/24]}}]';
const SHOP = DENY(
  '{from: [{source: {principals: ["cluster.local/ns/shop/*"], ipBlocks: [10.0.0.0/8]}}]}',
);

check(
  'an ALLOW made dead by a DENY',
  rule(FROM_SHOP),
  [['8:7', 'warning', 'allow_dead', /remove the rule, or narrow the DENY policy/]],
  SHOP,
);
check(
  'a DENY shadowed by another one',
  rule(FROM_SHOP, 'orders', 'DENY'),
  [['8:7', 'warning', 'deny_shadowed', /remove one of the two/]],
  SHOP,
);
check(
  'no claim is made of a trust domain with two names, whose patterns mean one and whose names mean both',
  rule(FROM_SHOP),
  [],
  `${SHOP}---
apiVersion: palisade.dev/v1
kind: Mesh
spec: {trustDomainAliases: [old.td]}
`,
);
check(
  'two conditions of a DENY rule that must both hold are not taken for either',
  rule('when: [{key: source.namespace, values: [shop]}]'),
  [],
  DENY(
    '{when: [{key: source.namespace, values: [shop]}, {key: source.namespace, values: ["x*"]}]}',
  ),
);
