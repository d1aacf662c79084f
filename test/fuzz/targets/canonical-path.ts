import assert from 'node:assert/strict';
import { canonicalPath, PATH_NORMALIZATIONS } from '#lib';
import { bytesOf, type FuzzTarget } from '../target.ts';

/** What is canonical stays so, and nothing that hides a dot segment is left where they are resolved. */
export const canonicalPathTarget: FuzzTarget = {
  name: 'canonical-path',
  seeds: bytesOf('/', '/a/b', '/a/../b', '/%61%2f%5c//x', '/%c3%a9/;p=1', '/..%2f..%5c'),
  tokens: ['..', '.', '/', '//', '\\', '%2e', '%2F', '%5c', '%00', '%25', '%c0%af', ';', '%3b'],
  run(bytes) {
    const path = bytes.toString('latin1');
    for (const mode of PATH_NORMALIZATIONS) {
      const found = canonicalPath(path, mode);
      if (!found.ok) continue;
      assert.deepEqual(canonicalPath(found.value, mode), found, mode);
      assert.match(found.value, /^\/[!-~]*$/);
      if (mode !== 'NONE') assert.doesNotMatch(found.value, /\/\.\.?(?:\/|;|$)|\\|%2e/i, mode);
    }
  },
};
