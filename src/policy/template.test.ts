import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NumberList } from './number-list.ts';
import { PrefixHashes } from './prefix-table.ts';
import { parseTemplate, templateMatches } from './template.ts';
import { TemplateIndex } from './template-index.ts';
import { createRandom } from './testing/random-policies.ts';

function check(
  template: string,
  paths: { readonly yes: readonly string[]; readonly no: readonly string[] },
): void {
  test(template, () => {
    const parsed = parseTemplate(template);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    for (const path of paths.yes) {
      assert.ok(templateMatches(parsed.value, path), `must match ${path}`);
    }
    for (const path of paths.no) {
      assert.ok(!templateMatches(parsed.value, path), `must not match ${path}`);
    }
  });
}

check('/a/{*}', { yes: ['/a/b', '/a/%7Bx'], no: ['/a', '/a/', '/a/b/', '/a/b/c', '/b/b'] });
check('/{*}', { yes: ['/a'], no: ['/', '/a/b', ''] });
check('/a/{*}/c', { yes: ['/a/b/c'], no: ['/a//c', '/a/b/c/', '/a/b/x/c', '/a/b/d'] });
check('/a/{**}', { yes: ['/a/', '/a/b', '/a/b/c/'], no: ['/a', '/ab'] });
check('/a/{**}/z', { yes: ['/a/b/z', '/a//z', '/a/b/c/z'], no: ['/a/z', '/a/b/zz'] });
check('/{**}', { yes: ['/', '/a/b'], no: ['', 'a'] });
check('/{**}/z', { yes: ['//z', '/a/z'], no: ['/z'] });
check('/{*}/x/{**}', { yes: ['/a/x/', '/a/x/b'], no: ['/x/b', '/a/x'] });

// Brackets, and whatever else is no segment character, end a match.
check('/a/{*}/b', { yes: ["/a/!$&'()*+,;:@=~/b", '/a/x*/b'], no: ['/a/[1]/b', '/a/é/b'] });
check('/s/{**}', { yes: ['/s/x'], no: ['/s/[1]', '/s/a"b'] });

/** Random templates, or paths, over few segments. */
function randomPath(random: () => number, segments: readonly string[]): string {
  const count = Math.floor(random() * 5);
  const parts = Array.from(
    { length: count },
    () => segments[Math.floor(random() * segments.length)] ?? '',
  );
  return `/${parts.join('/')}`;
}

test('an index finds exactly the templates that match', () => {
  let matched = 0;
  for (let seed = 0; seed < 200; seed++) {
    const random = createRandom(3_000 + seed);
    const texts = Array.from({ length: 60 }, () =>
      randomPath(random, ['a', 'b', 'ab', '', '{*}', '{*}', '{**}']),
    );
    const templates = [...new Set(texts)].flatMap((text) => {
      const parsed = parseTemplate(text);
      return parsed.ok && text.includes('{') ? [parsed.value] : [];
    });
    const index = new TemplateIndex();
    for (const [number, template] of templates.entries()) {
      assert.equal(
        index.at(template, () => number),
        number,
      );
      assert.equal(
        index.at(template, () => -1),
        number,
        'the same template has one number',
      );
    }
    const hashes = new PrefixHashes();
    for (let i = 0; i < 60; i++) {
      const path = randomPath(random, ['a', 'b', 'ab', '', '[', 'é', 'c']);
      hashes.reset(path);
      const out = new NumberList();
      index.collect(path, hashes, out);
      const found = Array.from({ length: out.count }, (_, at) => out.at(at)).sort((a, b) => a - b);
      const wanted = templates.flatMap((one, number) =>
        templateMatches(one, path) ? [number] : [],
      );
      assert.deepEqual(found, wanted, path);
      matched += wanted.length;
    }
  }
  assert.ok(matched > 1_000, `${matched}`);
});

test('many templates with one beginning cost one walk', () => {
  const index = new TemplateIndex();
  for (let i = 0; i < 5_000; i++) {
    const parsed = parseTemplate(`/api/{*}/r${i}`);
    assert.ok(parsed.ok);
    index.at(parsed.value, () => i);
  }
  const hashes = new PrefixHashes();
  for (const [path, number] of [
    ['/api/v1/r0', 0],
    ['/api/v2/r4999', 4_999],
  ] as const) {
    hashes.reset(path);
    const out = new NumberList();
    index.collect(path, hashes, out);
    assert.deepEqual([out.count, out.at(0)], [1, number]);
  }
});
