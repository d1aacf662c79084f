import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

test('the suggestion is what was probably meant, or none', () => {
  const check = (word: string, expected: string | undefined) =>
    assert.equal(
      nearest(word, ['principals', 'notPrincipals', 'namespaces', 'paths', 'ports']),
      expected,
    );
  check('principles', 'principals');
  check('Principals', 'principals');
  check('princpials', 'principals');
  check('notprincipal', 'notPrincipals');
  check('namespace', 'namespaces');
  check('path', 'paths');
  check('port', 'ports');
  check('banana', undefined);
  check('', undefined);
  check('p', undefined);
  check('x'.repeat(100_000), undefined);
});
