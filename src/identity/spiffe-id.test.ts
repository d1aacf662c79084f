import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fakeTrustDomain } from './fake-authority.ts';
import { parseSpiffeId, workloadSpiffeId } from './spiffe-id.ts';

function check(
  text: string,
  expected: { path: string; ns?: string; sa?: string } | undefined,
): void {
  const parsed = parseSpiffeId(text);
  assert.equal(
    parsed.ok,
    expected !== undefined,
    `${JSON.stringify(text)} ${JSON.stringify(parsed)}`,
  );
  if (!parsed.ok || expected === undefined) return;
  const { path, namespace, serviceAccount } = parsed.value;
  assert.deepEqual([path, namespace, serviceAccount], [expected.path, expected.ns, expected.sa]);
  assert.equal(parsed.value.text, text);
}

test('accepts SPIFFE IDs and splits the ones of Kubernetes shape', () => {
  check('spiffe://td', { path: '' });
  check('spiffe://td/a', { path: '/a' });
  check('spiffe://td/A.b_c-9/...', { path: '/A.b_c-9/...' });
  check('spiffe://cluster.local/ns/shop/sa/web', {
    path: '/ns/shop/sa/web',
    ns: 'shop',
    sa: 'web',
  });
  check('spiffe://td/ns/shop/sa/web/x', { path: '/ns/shop/sa/web/x' });
  check('spiffe://td/ns/shop/SA/web', { path: '/ns/shop/SA/web' });
  check('spiffe://td/x/ns/shop/sa/web', { path: '/x/ns/shop/sa/web' });
  check(`spiffe://td/${'a'.repeat(2048 - 12)}`, { path: `/${'a'.repeat(2048 - 12)}` });
});

test('refuses everything that could be read in two ways', () => {
  const bad = [
    '',
    'spiffe',
    'spiffe:',
    'spiffe:/',
    'spiffe://',
    'spiffe:///',
    'spiffe:///a',
    'Spiffe://td/a',
    'SPIFFE://td',
    'https://td/a',
    ' spiffe://td/a',
    'spiffe://td/a ',
    'spiffe://td/',
    'spiffe://td//a',
    'spiffe://td/a/',
    'spiffe://td/a//b',
    'spiffe://td/.',
    'spiffe://td/..',
    'spiffe://td/a/../b',
    'spiffe://td/a/.',
    'spiffe://Td/a',
    'spiffe://td:443/a',
    'spiffe://user@td/a',
    'spiffe://user:pw@td/a',
    'spiffe://[::1]/a',
    'spiffe://td?q',
    'spiffe://td/a?q',
    'spiffe://td#f',
    'spiffe://td/a#f',
    'spiffe://td/%61',
    'spiffe://td/a%2fb',
    'spiffe://%74d/a',
    'spiffe://td/ä',
    'spiffe://tд/a',
    'spiffe://td\\a',
    'spiffe://td/a\\b',
    'spiffe://td/a\u0000',
    `spiffe://td/${'a'.repeat(2048 - 11)}`,
    `spiffe://${'t'.repeat(256)}/a`,
  ];
  for (const text of bad) check(text, undefined);
});

test('refuses every character that a path may not hold, at every place', () => {
  for (let code = 0; code < 0x180; code++) {
    const character = String.fromCharCode(code);
    const isAllowed = /[A-Za-z0-9._-]/.test(character);
    check(
      `spiffe://td/a${character}b`,
      isAllowed || character === '/' ? { path: `/a${character}b` } : undefined,
    );
    const isDot = character === '.';
    check(`spiffe://td/${character}`, isAllowed && !isDot ? { path: `/${character}` } : undefined);
  }
});

test('what is accepted is accepted by the URL standard with the same parts', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab/.%?#@:-_A[] \\'), maxLength: 12 });
  fc.assert(
    fc.property(text, (rest) => {
      const parsed = parseSpiffeId(`spiffe://${rest}`);
      if (!parsed.ok) return;
      const url = new URL(parsed.value.text);
      assert.equal(url.host, parsed.value.trustDomain);
      assert.equal(url.pathname, parsed.value.path);
    }),
    { numRuns: 2000 },
  );
});

test('makes workload IDs and refuses names that would spell another identity', () => {
  const td = fakeTrustDomain('cluster.local');
  const id = workloadSpiffeId(td, 'shop', 'web');
  assert.deepEqual(parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web'), { ok: true, value: id });
  for (const name of ['', '.', '..', 'a/b', 'a/sa/b', 'a%2fb', 'ä', 'a'.repeat(2048)]) {
    assert.throws(() => workloadSpiffeId(td, name, 'web'), RangeError);
    assert.throws(() => workloadSpiffeId(td, 'shop', name), RangeError);
  }
});
