import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalPath } from './canonical-path.ts';

const CASES: readonly (readonly [string, string | undefined])[] = [
  ['/', '/'],
  ['/a/b?c=/d', '/a/b'],
  ['/a#b', '/a'],
  ['/%61%2d%7E/x', '/a-~/x'],
  ['/a%2Fb', '/a%2Fb'],
  ['/a%2fb', '/a%2fb'],
  ['/a//b', '/a//b'],
  ['/a|b"c^d<e>{f}', '/a%7Cb%22c%5Ed%3Ce%3E%7Bf%7D'],
  ['/a\\b', '/a/b'],
  ['/a/./b', '/a/b'],
  ['/a/../b', '/b'],
  ['/a/b/..', '/a/'],
  ['/a/b/.', '/a/b/'],
  ['/a/%2e%2E/b', '/b'],
  ['/a\\..\\b', '/b'],
  ['/a/..;x/b', '/b'],
  ['/a/..a/b', '/a/..a/b'],
  ['/é', '/%C3%A9'],
  ['/a b', '/a%20b'],
  ['/admin%252e', '/admin%252e'],
  // Refused, since a proxy and an application could read them differently.
  ['/../a', undefined],
  ['/a%', undefined],
  ['/a%2', undefined],
  ['/a%zz', undefined],
  ['/a%00b', undefined],
  ['a', undefined],
  ['', undefined],
  ['*', undefined],
];

for (const [target, path] of CASES) {
  test(`\`${target}\` is ${path ?? 'refused'}`, () => {
    const found = canonicalPath(target);
    assert.equal(found.ok ? found.value : undefined, path);
    // What is canonical stays as it is.
    if (found.ok) assert.deepEqual(canonicalPath(found.value), found);
  });
}
