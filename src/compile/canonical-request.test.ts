import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalHost, canonicalTarget } from './canonical-request.ts';

const PATHS: readonly (readonly [string, string | undefined])[] = [
  ['/', '/'],
  ['/a/b?c=/../d', '/a/b'],
  ['/a#b', '/a'],
  ['/%61%2d%7E/x', '/a-~/x'],
  ['/a|b"c^d<e>{f}', '/a%7Cb%22c%5Ed%3Ce%3E%7Bf%7D'],
  ['/a/..a/b', '/a/..a/b'],
  ['/a/.well-known', '/a/.well-known'],
  ['/é', '/%C3%A9'],
  ['/%c3%a9', '/%c3%a9'],
  ['/a b', '/a%20b'],
  ['/admin%252e', '/admin%252e'],
  // Refused, since servers read them in several ways.
  ['/a//b', undefined],
  ['/a%2Fb', undefined],
  ['/a%5cb', undefined],
  ['/a\\b', undefined],
  ['/a/./b', undefined],
  ['/a/../b', undefined],
  ['/a/..', undefined],
  ['/a/%2e%2E/b', undefined],
  ['/a/..;x/b', undefined],
  ['/a/..%3Bx/b', undefined],
  ['/a%', undefined],
  ['/a%zz', undefined],
  ['/a%00b', undefined],
  ['/a%0d', undefined],
  ['/%ff', undefined],
  ['/%c0%af', undefined],
  ['a', undefined],
  ['', undefined],
];

for (const [target, path] of PATHS) {
  test(`the path of \`${target}\` is ${path ?? 'refused'}`, () => {
    const found = canonicalTarget(target, 'STRICT');
    assert.equal(found.ok ? found.value : undefined, path);
    // What is canonical stays as it is.
    if (found.ok) assert.deepEqual(canonicalTarget(found.value, 'STRICT'), found);
  });
}

for (const [host, wanted] of [
  ['orders', 'orders'],
  ['Orders.Shop', 'orders.shop'],
  ['orders.', 'orders'],
  ['orders:80', 'orders'],
  ['orders.:80', 'orders'],
  ['orders:8080', 'orders:8080'],
  ['[::1]:80', '[::1]'],
  ['[::1]', '[::1]'],
  ['', ''],
] as const) {
  test(`the host of \`${host}\` on port 80 is \`${wanted}\``, () => {
    assert.equal(canonicalHost(host, 80), wanted);
  });
}
