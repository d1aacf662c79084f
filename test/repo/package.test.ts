import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasPath, ROOT, textOf } from './tree.ts';

type Manifest = Readonly<Record<string, unknown>>;

const MANIFESTS = ['package.json', 'console/package.json'];

test('the lockfile records no download addresses', () => {
  const lock = textOf('package-lock.json');
  assert.equal(/"resolved": "https?:/.test(lock), false);
  assert.match(textOf('.npmrc'), /^omit-lockfile-registry-resolved=true$/m);
});

test('every version is exact', () => {
  for (const path of MANIFESTS) {
    const manifest = manifestOf(path);
    for (const group of ['dependencies', 'devDependencies', 'optionalDependencies', 'overrides']) {
      for (const [name, version] of Object.entries(manifest[group] ?? {})) {
        assert.match(String(version), /^\d+\.\d+\.\d+(-[\w.]+)?$/, `${path}: ${name}`);
      }
    }
  }
});

test('no dependency needs to run a script when it is installed', () => {
  const { packages } = JSON.parse(textOf('package-lock.json'));
  const approved = Object.keys((manifestOf('package.json')['allowScripts'] ?? {}) as object);
  const scripted = Object.entries(packages as Record<string, { hasInstallScript?: boolean }>)
    .filter(([path, entry]) => path !== '' && entry.hasInstallScript === true)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
    .filter((name) => !approved.includes(name) && !WORKS_WITHOUT_ITS_SCRIPT.has(name));
  assert.deepEqual(scripted, []);
});

// Their script only looks for a binary that a package of its own brings, or warns; it need not run.
const WORKS_WITHOUT_ITS_SCRIPT = new Set(['koffi', '@bufbuild/buf', 'protobufjs']);

test('the version is the one that the changelog tells of first, everywhere', () => {
  const [, newest] = /^## (\S+)/m.exec(textOf('CHANGELOG.md')) ?? [];
  const lock = JSON.parse(textOf('package-lock.json'));
  const said = [lock.version, lock.packages[''].version, lock.packages['console'].version];
  for (const path of MANIFESTS) said.push(manifestOf(path)['version']);
  assert.deepEqual(said, Array(5).fill(newest));
});

test('what the repository needs to be whole is there', () => {
  const wanted = ['LICENSE', 'README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'];
  assert.deepEqual(
    [...wanted, '.ci/run', 'docs/decisions', 'docs/guides'].filter((path) => !hasPath(path)),
    [],
  );
});

test('the generated wire code is what the .proto files make', () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-wire-'));
  try {
    for (const entry of ['buf.gen.yaml', 'buf.yaml', 'proto'])
      cpSync(join(ROOT, 'src/wire', entry), join(folder, entry), { recursive: true });
    const bin = join(ROOT, 'node_modules/.bin');
    execFileSync(join(bin, 'buf'), ['generate'], {
      cwd: folder,
      env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
    });
    assert.deepEqual(contentsOf(join(folder, 'gen')), contentsOf(join(ROOT, 'src/wire/gen')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function manifestOf(path: string): Manifest & Readonly<Record<string, Manifest | undefined>> {
  return JSON.parse(textOf(path));
}

function contentsOf(folder: string): Readonly<Record<string, string>> {
  const names = readdirSync(folder).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}
