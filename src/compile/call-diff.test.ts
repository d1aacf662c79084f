import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSpiffeId } from '#identity';
import { diffCalls, judgeOf } from './call-diff.ts';
import {
  meshYaml,
  peerYaml,
  policyYaml,
  serviceYaml,
  setsFrom,
  TRUST_DOMAIN,
} from './testing/resources.ts';

const SERVICES =
  serviceYaml('shop', 'orders') + serviceYaml('shop', 'web') + serviceYaml('shop', 'api');

function policy(name: string, rules: string, action = 'ALLOW'): string {
  return policyYaml(
    'shop',
    name,
    `{selector: {matchLabels: {app: orders}}, action: ${action}, rules: ${rules}}`,
  );
}

const WEB_READS =
  '[{from: [{source: {serviceAccounts: [web]}}], to: [{operation: {methods: [GET], paths: [/list, "/orders/*"]}}]}]';

function diff(before: string, after: string) {
  const result = diffCalls({
    before: setsFrom(SERVICES + before),
    after: setsFrom(SERVICES + after),
    trustDomain: TRUST_DOMAIN,
    nowMs: 0,
  });
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

/** Checks the changed calls in one line each. */
function check(name: string, before: string, after: string, lines: readonly string[]): void {
  test(name, () => {
    const got = diff(before, after).flatMap(({ changes }) =>
      changes.map(
        ({ callers, methods, paths, before: was, after: is, with: extra }) =>
          `${was.verdict}>${is.verdict} ${callers.join('|')} ${methods.join('|')} ${paths.join('|')}${extra.join(' | ') && ` with ${extra.join(' | ')}`}`,
      ),
    );
    assert.deepEqual(got, lines);
  });
}

const READ = policy('read', WEB_READS);

check('nothing differs', READ, READ, []);
check(
  'a comment-like change of order differs in no call',
  READ,
  policy('read', WEB_READS.replace('/list, "/orders/*"', '"/orders/*", /list')),
  [],
);
check('a wider method', READ, policy('read', WEB_READS.replace('[GET]', '[GET, POST]')), [
  'deny>allow shop/web POST /list|/orders/*',
]);
check('a policy that is gone', READ, '', ['allow>deny shop/web GET /list|/orders/*']);
check(
  'a DENY in the way of part of it',
  READ,
  READ + policy('no', '[{to: [{operation: {paths: ["/orders/7"]}}]}]', 'DENY'),
  ['allow>deny shop/web GET /orders/7'],
);
check(
  'an ALLOW for everybody names the classes of callers',
  READ,
  READ + policy('open', '[{to: [{operation: {paths: [/list]}}]}]'),
  [
    'deny>allow shop/orders, shop/api, any other GET|any other /list',
    'deny>allow shop/web any other /list',
  ],
);
check(
  'a peer mode that lets plaintext in',
  policy('open', '[{to: [{operation: {paths: [/list]}}]}]') +
    peerYaml('shop', 'p', '{mtls: {mode: STRICT}}'),
  policy('open', '[{to: [{operation: {paths: [/list]}}]}]') +
    peerYaml('shop', 'p', '{mtls: {mode: PERMISSIVE}}'),
  ['deny>allow a caller without identity any other /list'],
);

check(
  'a rule for users of one issuer',
  '',
  policy(
    'users',
    '[{from: [{source: {requestPrincipals: ["https://id/*"]}}], when: [{key: "request.auth.claims[role]", values: [admin]}]}]',
  ),
  [
    'deny>allow shop/orders, shop/web, shop/api, any other any other any other with token of https://id/any-other, role=admin',
  ],
);
check(
  'a header that opens',
  policy('open', '[{}]'),
  policy('open', '[{when: [{key: "request.headers[x-token]", values: [admin]}]}]'),
  [
    'allow>deny shop/orders, shop/web, shop/api, any other any other any other with  | x-token: any other',
  ],
);

test('what cannot be proven is said', () => {
  const [found] = diff(READ, policy('read', '[{to: [{operation: {paths: ["/a/{*}"]}}]}]'));
  assert.deepEqual(found?.unproven, ['path templates']);
  const [blocks] = diff(READ, policy('read', '[{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]'));
  assert.deepEqual(blocks?.unproven, ['rules that read the source address']);
  const [proven] = diff(READ, '');
  assert.deepEqual(proven?.unproven, []);
});

test('property: where no change is reported and all is proven, random calls agree', () => {
  const paths = ['/a', '/a/*', '*/z', '/a/b*', '/*', '*'];
  const operation = fc.record({
    methods: fc.subarray(['GET', 'POST', 'P*'], { minLength: 1 }),
    paths: fc.subarray(paths, { minLength: 1 }),
  });
  const source = fc.subarray(['web', 'api', 'other/web'], { minLength: 1 });
  const rules = fc.array(fc.tuple(source, operation), { minLength: 1, maxLength: 2 }).map((all) =>
    JSON.stringify(
      all.map(([serviceAccounts, op]) => ({
        from: [{ source: { serviceAccounts } }],
        to: [{ operation: op }],
      })),
    ),
  );
  const call = fc.record({
    account: fc.constantFrom('shop/web', 'shop/api', 'other/web', 'other/api', 'x/y'),
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
    path: fc.constantFrom('/a', '/a/', '/a/b', '/a/bz', '/a/z', '/q/z', '/q', '/', '/a/b/z'),
  });
  fc.assert(
    fc.property(
      rules,
      rules,
      fc.array(call, { minLength: 5, maxLength: 20 }),
      (one, two, calls) => {
        const [before, after] = [policy('p', one), policy('p', two)];
        const found = diff(before, after);
        if (found.some(({ changes, unproven }) => changes.length + unproven.length > 0)) return;
        const judges = [before, after].map((text) => {
          const judge = judgeOf(
            setsFrom(SERVICES + text),
            { namespace: 'shop', service: 'orders' },
            TRUST_DOMAIN,
          );
          if (!judge.ok) throw new Error(judge.error);
          return judge.value;
        });
        for (const { account, method, path } of calls) {
          const [namespace, name] = account.split('/');
          const id = parseSpiffeId(`spiffe://cluster.local/ns/${namespace}/sa/${name}`);
          const question = {
            source: { id: id.ok ? id.value : undefined, ip: '127.0.0.1' },
            connection: { tls: true, sni: undefined },
            request: { method, path, host: 'orders' },
            destination: { port: 80 },
            nowMs: 0,
          };
          const [was, is] = judges.map((judge) => judge(question).verdict);
          assert.equal(was, is, `${account} ${method} ${path}\n${one}\n${two}`);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('a Mesh that allows by default shows what that opens', () => {
  const found = diff(meshYaml('{defaultAction: deny}'), meshYaml('{defaultAction: allow}'));
  assert.deepEqual(
    found.map(({ service, changes }) => [service, changes.map(({ after }) => after.reason)]),
    [
      ['shop/api', ['allowed_by_default']],
      ['shop/orders', ['allowed_by_default']],
      ['shop/web', ['allowed_by_default']],
    ],
  );
});
