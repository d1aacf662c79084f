import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAccounts } from './accounts.ts';

test('names are those of the files of now', () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-accounts-'));
  const accounts = createAccounts(folder);
  assert.equal(accounts.user(1000), undefined, 'no file, no names');
  writeFileSync(join(folder, 'passwd'), 'web:x:1000:100::/:/bin/sh\nalso:x:1000:1::/:/bin/sh\n');
  writeFileSync(join(folder, 'group'), 'staff:x:100:web\n:x:7:\n+::::::\n');
  assert.equal(accounts.user(1000), 'web', 'the first of a number');
  assert.equal(accounts.group(100), 'staff');
  assert.equal(accounts.group(7), undefined, 'an empty name is none');
  // As vipw and useradd do: a new file in place of the old one; and, worse, the old one written over.
  writeFileSync(join(folder, 'passwd+'), 'dev:x:1000:100::/:/bin/sh\n');
  renameSync(join(folder, 'passwd+'), join(folder, 'passwd'));
  assert.equal(accounts.user(1000), 'dev');
  writeFileSync(join(folder, 'passwd'), 'web2:x:1000:100::/:/bin/sh\n');
  assert.equal(accounts.user(1000), 'web2');
  rmSync(join(folder, 'passwd'));
  assert.equal(accounts.user(1000), undefined);
  rmSync(folder, { recursive: true });
});
