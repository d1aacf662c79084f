import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, without a slash at the end. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

// What is not ours or not authored: installed, built, or the version control's own.
const SKIPPED = new Set(['.git', 'node_modules', 'dist', 'coverage', 'gen']);
const TEXT = /\.(ts|tsx|js|json|md|css|html|yaml|yml|proto|sh|cnf)$|\/(run|LICENSE|\.npmrc)$/;

/** Paths relative to the root of all authored text files, sorted; generated code and test data are left out. */
export function authoredFiles(folder = '.'): readonly string[] {
  return walk(join(ROOT, folder))
    .map((path) => relative(ROOT, path))
    .filter((path) => TEXT.test(`/${path}`) && !path.includes('/testdata/'))
    .filter((path) => path !== 'package-lock.json')
    .sort();
}

/** Those of `authoredFiles` that are code. */
export function codeFiles(folder = '.'): readonly string[] {
  return authoredFiles(folder).filter((path) => /\.(ts|tsx|js)$/.test(path));
}

/** The text of a file, by its path relative to the root. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Whether there is such a path in the repository. */
export function hasPath(path: string): boolean {
  return existsSync(join(ROOT, path));
}

/** Whether a file of a layer is there for tests only: a test, a fake, a fixture, a contract suite. */
export function isForTests(path: string): boolean {
  return /\.test\.tsx?$|\/(fake-|fixtures|crash-child)|-contract\.ts$|\/testing\//.test(path);
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return SKIPPED.has(entry.name) ? [] : walk(path);
  });
}
