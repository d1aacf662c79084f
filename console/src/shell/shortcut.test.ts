import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGES, pageOf } from '../route/pages.ts';
import { shortcutOf } from './shortcut.ts';

test('`g` and a letter go to every page, each by its own letter', () => {
  assert.deepEqual(shortcutOf('g', false), { kind: 'wait' });
  for (const page of PAGES) {
    assert.deepEqual(shortcutOf(page.key, true), { kind: 'go', path: page.path });
  }
  assert.equal(new Set(PAGES.map((page) => page.key)).size, PAGES.length);
});

const single: readonly (readonly [key: string, afterG: boolean, kind: string])[] = [
  ['/', false, 'search'],
  ['?', false, 'help'],
  ['p', false, 'pause'],
  ['p', true, 'go'],
  ['/', true, 'none'],
  ['x', false, 'none'],
];

for (const [key, afterG, kind] of single) {
  test(`\`${key}\` ${afterG ? 'after g' : 'alone'} means ${kind}`, () => {
    assert.equal(shortcutOf(key, afterG).kind, kind);
  });
}

const addresses: readonly (readonly [path: string, title: string | undefined])[] = [
  ['/', 'Overview'],
  ['/denials', 'Denials'],
  ['/denials/dn-7', 'Denials'],
  ['/denialsx', undefined],
  ['/nowhere', undefined],
];

for (const [path, title] of addresses) {
  test(`\`${path}\` belongs to ${title ?? 'no page'}`, () => {
    assert.equal(pageOf(path)?.title, title);
  });
}
