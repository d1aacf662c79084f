import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createFakeContext } from './fake-context.ts';
import { intoFile } from './out-file.ts';
import { runCli } from './program.ts';

const root = mkdtempSync(join(tmpdir(), 'palisade-targets-'));
after(() => rmSync(root, { recursive: true }));
writeFileSync(join(root, 'file'), 'mine');
mkdirSync(join(root, 'locked'));
chmodSync(join(root, 'locked'), 0o500);
writeFileSync(join(root, 'istio.yaml'), '');

/** A target, and why nothing can be written there. */
const TARGETS: readonly (readonly [string, RegExp])[] = [
  [join(root, 'file', 'x'), /a part of the path is a file, not a folder/],
  ['/dev/null/x', /a part of the path is a file, not a folder/],
  ['/proc/palisade', /the system allows no new folders there|does not exist/],
  ['/proc/palisade/x', /the system allows no new folders there|does not exist/],
  ['/sys/palisade', /you may not write there|allows nobody to write|read-only/],
  [join(root, 'y'.repeat(300)), /too long for the system/],
  [join(root, ...Array<string>(25).fill('x'.repeat(200))), /too long for the system/],
  // Root may write anywhere.
  ...(process.getuid?.() === 0
    ? []
    : [[join(root, 'locked', 'x'), /you may not write there/] as const]),
];

const COMMANDS: readonly (readonly string[])[] = [
  ['init'],
  ['support-bundle', '--data', join(root, 'no-mesh'), '--out'],
  ['import', 'istio', '-f', join(root, 'istio.yaml'), '--out'],
];

// Told in a process of its own: what never returns would take the other tests along.
test('a folder that the kernel will not make is refused, not tried for ever', () => {
  const code = `
    import { makeFolders } from '#client';
    try { makeFolders('/proc/palisade/x'); } catch (error) { console.log(error.syscall); }`;
  const args = ['--input-type=module', '-e', code];
  const made = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
  assert.equal(made.stdout, 'mkdir\n', made.stderr);
});

for (const words of COMMANDS) {
  test(`\`palisade ${words[0]}\` says of every bad target what, why and what next`, async () => {
    for (const [target, why] of TARGETS) {
      const context = createFakeContext();
      const status = await runCli([...words, target], context);
      const said = context.complained();
      assert.equal(status, 2, `${target.slice(0, 80)}: ${said}`);
      assert.match(said, /^palisade: cannot write `[^`]+`: [^\n]+\n {2}help: name a[^\n]+\n$/);
      assert.match(said, why);
      assert.ok(said.length < 400, `${said.length} characters`);
    }
  });
}

test('a folder where a file should be, and a file where a folder should be', async () => {
  const bundle = createFakeContext();
  const args = ['support-bundle', '--data', join(root, 'no-mesh'), '--out', root];
  assert.equal(await runCli(args, bundle), 2);
  assert.match(bundle.complained(), /it is a folder, not a file\n {2}help: /);
  const init = createFakeContext();
  assert.equal(await runCli(['init', join(root, 'file')], init), 2);
  assert.match(init.complained(), /a part of the path is a file, not a folder\n {2}help: /);
  assert.equal(readFileSync(join(root, 'file'), 'utf8'), 'mine');
});

test('what was there stays until there is something to write, and is its owner’s alone then', async () => {
  const [old, made] = [join(root, 'old'), join(root, 'made')];
  writeFileSync(old, 'a longer text of before', { mode: 0o644 });
  const away = Promise.reject(new Error('the control plane is away'));
  await assert.rejects(
    intoFile(old, () => away),
    /away/,
  );
  await assert.rejects(intoFile(made, () => away));
  assert.deepEqual(
    [readFileSync(old, 'utf8'), existsSync(made)],
    ['a longer text of before', false],
  );
  await intoFile(old, async (write) => {
    write('one ');
    write(Buffer.from('two'));
  });
  assert.equal(readFileSync(old, 'utf8'), 'one two');
  assert.equal(statSync(old).mode & 0o777, 0o600);
});

test('a full disk ends the command in words', { skip: !existsSync('/dev/full') }, async () => {
  const full = intoFile('/dev/full', async (write) => write('x'));
  await assert.rejects(full, /cannot write `\/dev\/full`: the disk is full/);
});

test('an output that a full disk cuts short is no success', {
  skip: !existsSync('/dev/full'),
}, () => {
  const full = openSync('/dev/full', 'w');
  const args = [fileURLToPath(new URL('../../bin/palisade.js', import.meta.url)), 'version'];
  const told = spawnSync(process.execPath, args, {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
    timeout: 30_000,
  });
  closeSync(full);
  assert.deepEqual([told.status, told.stderr], [2, 'palisade: cannot write the output: ENOSPC\n']);
});
