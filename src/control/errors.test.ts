import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { API_ERRORS } from './index.ts';

test('the reference documents exactly the codes of the API', () => {
  const url = new URL('../../docs/reference/errors.md', import.meta.url);
  const section = readFileSync(url, 'utf8')
    .split(/^## /m)
    .find((text) => text.startsWith('What the API answers'));
  const rows = (section ?? '').matchAll(/^\| `([a-z_]+)` \| (\d+) \| (.+) \|$/gm);
  const documented = Array.from(rows, ([, code, status, title]) => [
    code,
    { status: Number(status), title },
  ]);
  assert.deepEqual(Object.fromEntries(documented), { ...API_ERRORS });
});
