import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TRUST_ERRORS } from './index.ts';

test('the reference documents exactly the codes there are', () => {
  const url = new URL('../../docs/reference/trust.md', import.meta.url);
  const rows = readFileSync(url, 'utf8').matchAll(/^\| `([a-z_]+)` \| (.+) \|$/gm);
  const documented = Object.fromEntries(Array.from(rows, ([, code, meaning]) => [code, meaning]));
  assert.deepEqual(documented, { ...TRUST_ERRORS });
});
