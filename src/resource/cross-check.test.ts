import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crossCheck } from './cross-check.ts';
import { parseResources } from './parse.ts';

const service = (name: string, protocol = 'http', namespace = 'default') =>
  `{apiVersion: palisade.dev/v1, kind: Service, metadata: {name: ${name}, namespace: ${namespace}}, spec: {ports: [{port: 80, protocol: ${protocol}}]}}`;
const policy = (spec: string, namespace = 'default') =>
  `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: ${namespace}}, spec: ${spec}}`;
const peers = (name: string, spec = '{}') =>
  `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: ${name}}, spec: ${spec}}`;

const GET = '{rules: [{to: [{operation: {methods: [GET]}}]}]}';
const FOR_WEB =
  '{selector: {matchLabels: {app: web}}, rules: [{to: [{operation: {methods: [GET]}}]}]}';

function parse(documents: readonly string[]) {
  const text = documents.join('\n---\n');
  const { resources, diagnostics } = parseResources([{ file: 'f', text }], {
    defaultNamespace: 'default',
  });
  assert.deepEqual(diagnostics, []);
  return resources;
}

function tokens(namespace: string, selector = ''): string {
  return `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: ${namespace}}
spec: {${selector}jwtRules: [{issuer: i, jwksUri: "https://id.example.com/jwks"}]}
`;
}

/** Documents against what is live give exactly these problems, each as `severity code`. */
function check(
  name: string,
  sources: { readonly authored: readonly string[]; readonly live?: readonly string[] },
  expected: readonly string[],
): void {
  test(`between resources: ${name}`, () => {
    const live = parse(sources.live ?? []).map(({ resource }) => resource);
    const found = crossCheck(parse(sources.authored), live);
    assert.deepEqual(
      found.map(({ severity, code }) => `${severity} ${code}`),
      expected,
    );
  });
}

check('nothing', { authored: [] }, []);
check('policies alone say nothing of services elsewhere', { authored: [policy(FOR_WEB)] }, []);
check('a live service counts', { authored: [policy(FOR_WEB)], live: [service('web')] }, []);
check('a live TCP service counts', { authored: [policy(FOR_WEB)], live: [service('web', 'tcp')] }, [
  'error http_field_on_tcp',
]);
check(
  'a service at hand replaces the live one',
  { authored: [policy(FOR_WEB), service('web')], live: [service('web', 'tcp')] },
  [],
);
check(
  'the same name in two namespaces',
  { authored: [service('web'), service('web', 'http', 'other')] },
  [],
);
check('the same service twice', { authored: [service('web'), service('web')] }, [
  'error duplicate_resource',
]);
check(
  'what replaces its live self is no duplicate',
  { authored: [service('web')], live: [service('web')] },
  [],
);
check('a whole namespace of TCP', { authored: [policy(GET), service('db', 'tcp')] }, [
  'error http_field_on_tcp',
]);
check(
  'headers and tokens on TCP',
  {
    authored: [
      policy(
        '{rules: [{from: [{source: {requestPrincipals: ["*"]}}], when: [{key: "request.headers[x]", values: [a]}, {key: source.ip, values: [10.0.0.1]}]}]}',
      ),
      service('db', 'tcp'),
    ],
  },
  ['error http_field_on_tcp', 'warning no_token_issuer', 'error http_field_on_tcp'],
);
check(
  'a whole namespace, some of it TCP',
  { authored: [policy(GET), service('db', 'tcp'), service('web')] },
  ['warning http_field_on_tcp'],
);
check(
  'TCP in another namespace',
  { authored: [policy(GET), service('db', 'tcp', 'other'), service('web')] },
  [],
);
check(
  'the root namespace reaches every namespace',
  { authored: [policy(GET, 'palisade-system'), service('db', 'tcp', 'other')] },
  ['error http_field_on_tcp'],
);
check(
  'a selector that fits a service of another namespace only',
  { authored: [policy(FOR_WEB), service('web', 'http', 'other')] },
  ['warning no_workload_selected'],
);
check(
  'a target that is no service',
  { authored: [policy('{targetRefs: [{kind: Service, name: wbe}]}'), service('web')] },
  ['warning no_workload_selected'],
);
const USERS =
  '{rules: [{from: [{source: {requestPrincipals: ["*"]}}], when: [{key: "request.auth.claims[a]", values: [b]}]}]}';

check('users’ tokens that nobody validates', { authored: [policy(USERS), service('web')] }, [
  'warning no_token_issuer',
  'warning no_token_issuer',
]);
check(
  'users’ tokens of an issuer',
  { authored: [policy(USERS), service('web'), tokens('default')] },
  [],
);
check(
  'users’ tokens of an issuer for the whole mesh',
  { authored: [policy(USERS), service('web'), tokens('palisade-system')] },
  [],
);
check(
  'a selector of tokens that fits nobody',
  { authored: [service('web'), tokens('default', 'selector: {matchLabels: {app: wbe}}, ')] },
  ['warning no_workload_selected'],
);
check(
  'callers known, foreign, and by pattern',
  {
    authored: [
      policy(
        '{rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/web, other.org/ns/x/sa/y, "*", "*/sa/z", "cluster.local/ns/default/*"], namespaces: [default, "x*"]}}]}]}',
      ),
      service('web'),
    ],
  },
  ['warning wide_wildcard', 'warning wide_wildcard'],
);

const named = (name: string, spec: string, namespace = 'default') =>
  policy(spec, namespace).replace('name: p', `name: ${name}`);
const DENY_ADMIN =
  '{action: DENY, rules: [{to: [{operation: {paths: ["/admin*"], methods: ["*"]}}]}]}';
const ALLOW_ADMIN = '{rules: [{to: [{operation: {paths: [/admin/x], methods: [GET]}}]}]}';

check(
  'an ALLOW rule of which nothing is left',
  { authored: [named('a', DENY_ADMIN), named('b', ALLOW_ADMIN)] },
  ['warning allow_dead'],
);
check(
  'a DENY policy of the root namespace counts everywhere',
  { authored: [named('b', ALLOW_ADMIN)], live: [named('a', DENY_ADMIN, 'palisade-system')] },
  ['warning allow_dead'],
);
check(
  'a DENY policy of another namespace, or for other workloads, leaves it alone',
  {
    authored: [
      named('a', DENY_ADMIN, 'other'),
      named('c', DENY_ADMIN.replace('{', '{selector: {matchLabels: {app: db}}, ')),
      named('b', ALLOW_ADMIN),
    ],
  },
  [],
);
check(
  'a DENY rule with one condition more leaves something',
  {
    authored: [
      named(
        'a',
        DENY_ADMIN.replace(
          'rules: [{',
          'rules: [{when: [{key: source.ip, values: [10.0.0.0/8]}], ',
        ),
      ),
      named('b', ALLOW_ADMIN),
    ],
  },
  [],
);
check(
  'of two DENY policies that deny the same the second is of no use',
  { authored: [named('a', DENY_ADMIN), named('b', DENY_ADMIN)] },
  ['warning deny_shadowed'],
);
check(
  'a policy in dry-run shadows nobody',
  {
    authored: [
      named('a', DENY_ADMIN).replace('name: a', 'name: a, annotations: {istio.io/dry-run: "true"}'),
      named('b', ALLOW_ADMIN),
    ],
  },
  [],
);
check(
  'a rule whose values are all excluded again',
  {
    authored: [
      policy('{rules: [{to: [{operation: {methods: [GET], notMethods: ["G*"]}}]}]}'),
      named('q', '{rules: [{from: [{source: {namespaces: [a], notNamespaces: [a]}}]}]}'),
    ],
  },
  ['warning never_matches', 'warning never_matches'],
);

const mesh = (spec: string) =>
  `{apiVersion: palisade.dev/v1, kind: Mesh, metadata: {name: mesh, namespace: palisade-system}, spec: ${spec}}`;
const ASK_OPA = '{action: CUSTOM, provider: {name: opa}, rules: [{}]}';

check(
  'a provider that the Mesh names',
  {
    authored: [policy(ASK_OPA)],
    live: [
      mesh(
        '{extensionProviders: [{name: opa, envoyExtAuthzGrpc: {service: opa.policy, port: 9191}}]}',
      ),
    ],
  },
  [],
);
check('a provider that the Mesh does not name', { authored: [policy(ASK_OPA), mesh('{}')] }, [
  'error unknown_provider',
]);
check('a provider, and no Mesh at hand', { authored: [policy(ASK_OPA)] }, []);

const exception = (of: string, namespace = 'default') =>
  `{apiVersion: palisade.dev/v1, kind: PolicyException, metadata: {name: e, namespace: ${namespace}}, spec: {policy: ${of}, owner: ops, ticket: T-1, expiresAt: "2026-12-31T00:00:00Z", rules: [{to: [{operation: {paths: [/admin/x]}}]}]}}`;

check(
  'an exception from a DENY policy',
  { authored: [exception('a')], live: [named('a', DENY_ADMIN)] },
  [],
);
check(
  'an exception from an ALLOW policy, from none, and from a guardrail of the root namespace',
  {
    authored: [exception('b'), exception('x', 'other'), exception('a', 'third')],
    live: [named('b', ALLOW_ADMIN), named('a', DENY_ADMIN, 'palisade-system')],
  },
  ['error no_such_policy', 'error no_such_policy', 'error no_such_policy'],
);
check(
  'callers that nobody is',
  {
    authored: [
      policy(
        '{rules: [{from: [{source: {notPrincipals: [cluster.local/ns/default/sa/wbe], notNamespaces: [defualt]}}, {source: {serviceAccounts: [web, other/web]}}]}]}',
      ),
      service('web'),
    ],
  },
  ['warning unknown_principal', 'warning unknown_principal', 'warning unknown_principal'],
);
check('two for the whole namespace', { authored: [peers('a'), peers('b')] }, [
  'error ambiguous_peer_authentication',
  'error ambiguous_peer_authentication',
]);
check('a second one beside the live one', { authored: [peers('b')], live: [peers('a')] }, [
  'error ambiguous_peer_authentication',
]);
check(
  'one for the namespace, one for a workload',
  { authored: [peers('a'), peers('b', '{selector: {matchLabels: {app: web}}}')] },
  [],
);

const federation = (name: string, trustDomain: string) =>
  `{apiVersion: palisade.dev/v1, kind: TrustDomainFederation, metadata: {name: ${name}}, spec: {trustDomain: ${trustDomain}, bundleEndpointURL: "https://${name}.example", bundleEndpointProfile: {type: https_web}}}`;

check(
  'attack: a second word on whom to believe for a trust domain',
  { authored: [federation('a', 'td.one')], live: [federation('b', 'td.one')] },
  ['error duplicate_resource'],
);
check(
  'two trust domains',
  { authored: [federation('a', 'td.one')], live: [federation('b', 'td.two')] },
  [],
);

const fileSink = (name: string, file: string) =>
  `{apiVersion: palisade.dev/v1, kind: Sink, metadata: {name: ${name}, namespace: palisade-system}, spec: {evidence: {audit: {}}, format: json, file: {name: ${file}}}}`;

check(
  'two sinks of one file',
  { authored: [fileSink('a', 'x.jsonl')], live: [fileSink('b', 'x.jsonl')] },
  ['error duplicate_resource'],
);
check(
  'a sink of what another turns its file over to',
  { authored: [fileSink('a', 'x.jsonl'), fileSink('b', 'x.jsonl.3')] },
  ['error duplicate_resource', 'error duplicate_resource'],
);
check(
  'sinks of files of their own, and a change of one of them',
  { authored: [fileSink('a', 'x'), fileSink('b', 'x.jsonl')], live: [fileSink('a', 'x.jsonl')] },
  [],
);
