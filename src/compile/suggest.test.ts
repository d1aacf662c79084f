import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSpiffeId } from '#identity';
import { checkCall } from './check.ts';
import { type ObservedCall, suggestPolicy } from './suggest.ts';
import { serviceYaml, setsFrom, TRUST_DOMAIN } from './testing/resources.ts';

const WEB = 'spiffe://cluster.local/ns/default/sa/web';
const ABOUT = { namespace: 'shop', service: 'orders', since: '1d' };

function call(over: Partial<ObservedCall>): ObservedCall {
  return {
    sourceId: WEB,
    method: 'GET',
    path: '/list',
    port: 80,
    verdict: 'allow',
    count: 1,
    first: '2026-01-01T00:00:00.000Z',
    last: '2026-01-01T00:00:00.000Z',
    traceId: null,
    ...over,
  };
}

/** Whether the suggested policy alone allows a call. */
function allows(yaml: string, asked: ObservedCall): boolean {
  const from = asked.sourceId === null ? undefined : parseSpiffeId(asked.sourceId);
  const answer = checkCall({
    sets: setsFrom(`${serviceYaml('shop', 'orders')}${yaml}`),
    trustDomain: TRUST_DOMAIN,
    from: from?.ok ? from.value : undefined,
    to: 'shop/orders',
    namespace: 'shop',
    request: { method: asked.method ?? 'GET', path: asked.path ?? '/' },
    port: asked.port,
    nowMs: 0,
  });
  return answer.ok && answer.value.decision.verdict === 'allow';
}

test('identifiers become a template only where several were seen, and methods stay apart', () => {
  const ids = ['1', '2', '3'].map((id) => call({ path: `/orders/${id}` }));
  const { yaml = '' } = suggestPolicy(
    [...ids, call({ path: '/list/7' }), call({ method: 'POST', path: '/orders', count: 9 })],
    ABOUT,
  );
  assert.match(yaml, /# 3 calls to 3 different paths\n {14}- "\/orders\/\{\*\}"/);
  assert.match(yaml, /- "\/list\/7"/);
  assert.match(yaml, /methods: \["POST"\]\n {12}paths:\n {14}# 9 calls\n {14}- "\/orders"/);
  for (const [asked, expected] of [
    [call({ path: '/orders/99' }), true],
    [call({ path: '/list/8' }), false],
    [call({ method: 'POST', path: '/orders/1' }), false],
    [call({ method: 'DELETE', path: '/orders/1' }), false],
    [call({ path: '/orders/1', sourceId: WEB.replace('web', 'other') }), false],
  ] as const) {
    assert.equal(allows(yaml, asked), expected, JSON.stringify(asked));
  }
});

test('what was denied, anonymous or cannot be named is left out and said', () => {
  const { yaml, leftOut } = suggestPolicy(
    [
      call({ verdict: 'deny', path: '/admin', count: 4 }),
      call({ sourceId: null, path: '/health' }),
      call({ path: '/files/*' }),
    ],
    ABOUT,
  );
  assert.equal(yaml, undefined);
  assert.deepEqual(leftOut, [
    '4 calls that policy denied',
    '1 call of callers without identity',
    '1 call whose path no policy can name exactly',
  ]);
});

test('attack: what was observed cannot write into the policy', () => {
  const evil = '\n  rules:\n    - {}\n#';
  const { yaml = '' } = suggestPolicy(
    [call({ traceId: evil, last: evil, path: '/x"]\n- a: b', method: 'G"]\n- a' })],
    ABOUT,
  );
  assert.equal(allows(yaml, call({ path: '/other' })), false);
  assert.equal(setsFrom(yaml).get('shop')?.resources.length, 1);
});

test('property: what was allowed stays allowed', () => {
  const segment = fc.constantFrom('a', 'b', '1', '22', '333', '4444', 'list', '[x]', 'a-b');
  const path = fc.array(segment, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
  const observed = fc.record({
    path,
    method: fc.constantFrom('GET', 'POST', 'PUT'),
    sourceId: fc.constantFrom(WEB, WEB.replace('web', 'api')),
  });
  fc.assert(
    fc.property(fc.array(observed, { minLength: 1, maxLength: 12 }), (some) => {
      const calls = some.map((over) => call(over));
      const { yaml = '' } = suggestPolicy(calls, ABOUT);
      for (const one of calls) assert.ok(allows(yaml, one), `${JSON.stringify(one)}\n${yaml}`);
    }),
    { numRuns: 100 },
  );
});
