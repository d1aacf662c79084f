import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openMeshFolder } from './mesh-folder.ts';
import { StartError } from './start-error.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-folder-'));
after(() => rmSync(root, { recursive: true }));
writeFileSync(join(root, 'file'), '');

const open = (dataDir: string) => openMeshFolder({ dataDir, command: 'up', parts: ['agent'] });

test('a data folder that cannot be made is refused in words', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [join(root, 'file'), /a part of the path is a file, not a folder/],
    [join(root, 'file', 'x'), /a part of the path is a file, not a folder/],
    ['/dev/null/x', /a part of the path is a file, not a folder/],
    ['/proc/palisade', /the system allows no new folders there/],
    ['/sys/palisade', /you may not write there|allows nobody to write|read-only/],
    [join(root, 'y'.repeat(300)), /too long for the agent's socket/],
    [join(root, ...Array<string>(25).fill('x'.repeat(200))), /too long for the agent's socket/],
  ];
  for (const [dataDir, why] of cases) {
    assert.throws(
      () => open(dataDir),
      (error) => {
        assert.ok(error instanceof StartError, `${dataDir.slice(0, 80)}: ${error}`);
        assert.match(error.message, why);
        assert.match(error.help, /--data/);
        assert.ok(error.message.length < 400);
        return true;
      },
    );
  }
});

test('a path one byte too long for the agent’s socket is told before anything is made', () => {
  // The socket's address holds 107 bytes, of which `/agent/agent.sock` takes 17.
  const fits = join(root, 'z'.repeat(107 - 17 - root.length - 1));
  const tooLong = `${fits}z`;
  assert.throws(() => open(tooLong), {
    help: `name one of at most ${fits.length} bytes with --data`,
  });
  assert.equal(existsSync(tooLong), false);
  const mesh = open(fits);
  mesh.release();
  assert.ok(readdirSync(fits).includes('trust-root.json'));
});
