import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate, templateMatches, templateStart } from './template.ts';

function check(
  template: string,
  start: string,
  paths: { readonly yes: readonly string[]; readonly no: readonly string[] },
): void {
  test(template, () => {
    const parsed = parseTemplate(template);
    assert.ok(parsed.ok, JSON.stringify(parsed));
    assert.equal(templateStart(parsed.value), start);
    for (const path of paths.yes) {
      assert.ok(templateMatches(parsed.value, path), `must match ${path}`);
      assert.ok(path.startsWith(start), `${path} must start with ${start}`);
    }
    for (const path of paths.no) {
      assert.ok(!templateMatches(parsed.value, path), `must not match ${path}`);
    }
  });
}

check('/a/{*}', '/a/', { yes: ['/a/b', '/a/%7Bx'], no: ['/a', '/a/', '/a/b/', '/a/b/c', '/b/b'] });
check('/{*}', '/', { yes: ['/a'], no: ['/', '/a/b', ''] });
check('/a/{*}/c', '/a/', { yes: ['/a/b/c'], no: ['/a//c', '/a/b/c/', '/a/b/x/c', '/a/b/d'] });
check('/a/{**}', '/a/', { yes: ['/a/', '/a/b', '/a/b/c/'], no: ['/a', '/ab'] });
check('/a/{**}/z', '/a/', { yes: ['/a/b/z', '/a//z', '/a/b/c/z'], no: ['/a/z', '/a/b/zz'] });
check('/{**}', '/', { yes: ['/', '/a/b'], no: ['', 'a'] });
check('/{**}/z', '/', { yes: ['//z', '/a/z'], no: ['/z'] });
check('/{*}/x/{**}', '/', { yes: ['/a/x/', '/a/x/b'], no: ['/x/b', '/a/x'] });

// Brackets, and whatever else is no segment character, end a match.
check('/a/{*}/b', '/a/', { yes: ["/a/!$&'()*+,;:@=~/b", '/a/x*/b'], no: ['/a/[1]/b', '/a/é/b'] });
check('/s/{**}', '/s/', { yes: ['/s/x'], no: ['/s/[1]', '/s/a"b'] });
