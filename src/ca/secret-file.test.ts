import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeSecretFile } from './secret-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-secret-file-'));
after(() => rmSync(folder, { recursive: true }));

test('a disk that takes half of a file leaves the one before whole', () => {
  const path = join(folder, 'key');
  writeSecretFile(path, 'the one before');
  // As a full disk does: the system call writes what there is room for, and only the next one fails.
  const script = `
    import { writeSecretFile } from ${JSON.stringify(new URL('./secret-file.ts', import.meta.url).href)};
    try {
      writeSecretFile(process.env.INTO, 'x'.repeat(100_000));
      process.stdout.write('written');
    } catch (error) {
      process.stdout.write(error.code);
    }`;
  const limited = `trap '' XFSZ; ulimit -f 8; exec "$0" --input-type=module -e "$1"`;
  const child = spawnSync('bash', ['-c', limited, process.execPath, script], {
    encoding: 'utf8',
    env: { ...process.env, INTO: path },
  });
  assert.equal(child.stdout, 'EFBIG', child.stderr);
  assert.equal(readFileSync(path, 'utf8'), 'the one before');
  assert.equal(statSync(path).mode & 0o777, 0o600);
});
