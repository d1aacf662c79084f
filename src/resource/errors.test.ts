import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DIAGNOSTIC_CODES } from './errors.ts';

test('the reference names every code with its meaning, and no other', () => {
  const page = readFileSync(new URL('../../docs/reference/validation.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (.+?) \|$/gm)].map(([, code, meaning]) => [
    code,
    meaning,
  ]);
  assert.deepEqual(Object.fromEntries(rows), DIAGNOSTIC_CODES);
});
