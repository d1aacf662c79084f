// The launchers run the bundle only while it is what the sources say.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { codeFiles, isForTests, textOf } from './tree.ts';

const SOURCE = 'export const answer = 42;\n';
const LAUNCHER = fileURLToPath(new URL('../../bin/entry.js', import.meta.url));

/** What the launcher of a checkout picks whose bundle was made of one file, after `change` was done to that file. */
async function picked(change: (path: string, root: string) => void): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'palisade-entry-'));
  try {
    for (const folder of ['bin', 'src/bin', 'dist/bundle']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    copyFileSync(LAUNCHER, join(root, 'bin/entry.js'));
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    const path = join(root, 'src/bin/palisade.ts');
    writeFileSync(path, SOURCE);
    const { size: bytes, mtimeMs: modifiedAtMs } = statSync(path);
    const sha256 = createHash('sha256').update(SOURCE).digest('hex');
    const files = [{ path: 'src/bin/palisade.ts', bytes, modifiedAtMs, sha256 }];
    writeFileSync(join(root, 'dist/bundle/made-of.json'), JSON.stringify({ files }));
    change(path, root);
    const { entry } = (await import(pathToFileURL(join(root, 'bin/entry.js')).href)) as {
      entry: (name: string) => URL;
    };
    return entry('palisade').href.slice(pathToFileURL(root).href.length + 1);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const BUNDLE = 'dist/bundle/palisade.js';
const SOURCES = 'src/bin/palisade.ts';
const CASES: readonly (readonly [string, (path: string, root: string) => void, string])[] = [
  ['unchanged sources', () => undefined, BUNDLE],
  ['sources that were copied or checked out again', (path) => utimesSync(path, 1, 1), BUNDLE],
  ['a source of another size', (path) => writeFileSync(path, `${SOURCE}\n`), SOURCES],
  ['a source changed in place', (path) => writeFileSync(path, SOURCE.replace('42', '43')), SOURCES],
  ['a source that is gone', (path) => rmSync(path), SOURCES],
  ['no bundle', (_, root) => rmSync(join(root, 'dist'), { recursive: true }), SOURCES],
  [
    'a bundle that was broken off',
    (_, root) => writeFileSync(join(root, 'dist/bundle/made-of.json'), '{"fi'),
    SOURCES,
  ],
];
for (const [name, change, expected] of CASES) {
  test(`with ${name}: ${expected}`, async () => assert.equal(await picked(change), expected));
}

// A bundled file lies two folders below the root, as a layer's own files do: any other path leads nowhere there.
test('code that runs bundled finds files by `../../` alone', () => {
  const wrong = codeFiles('src')
    .filter((path) => !isForTests(path) && path !== 'src/wire/generate.ts')
    .filter((path) => /new URL\((?!'\.\.\/\.\.)[^)]*import\.meta\.url/.test(textOf(path)));
  assert.deepEqual(wrong, []);
});
