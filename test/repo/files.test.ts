import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authoredFiles, codeFiles, textOf } from './tree.ts';

const MAX_LINES = 500;
// Tables and the like that may be longer, with the reason.
const LONGER: Readonly<Record<string, string>> = {};

const BANNED_NAMES = /^(utils?|helpers?|common|types|misc|manager)$/;

// This file names what it looks for.
const SELF = 'test/repo/files.test.ts';
const UNFINISHED = /\b(TODO|FIXME|HACK)\b|\b[Nn]ot yet implemented|\b[Ff]or now\b/;
const MACHINE_PATH = /(^|[^\w.~-])\/(root|work|home)\//;

test('no file is longer than 500 lines', () => {
  const long = codeFiles()
    .map((path) => ({ path, lines: textOf(path).split('\n').length - 1 }))
    .filter(({ path, lines }) => lines > MAX_LINES && LONGER[path] === undefined);
  assert.deepEqual(long, []);
});

test('files are named for what they define, in kebab-case', () => {
  const stem = (path: string) => (path.split('/').at(-1) ?? '').replace(/(\.test)?\.\w+$/, '');
  const bad = codeFiles().filter((path) => {
    const words = stem(path);
    return BANNED_NAMES.test(words) || !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*$/.test(words);
  });
  assert.deepEqual(bad, []);
});

test('an empty catch says why nothing is to be done', () => {
  const silent = codeFiles().filter((path) => /catch\s*(\([^)]*\)\s*)?\{\s*\}/.test(textOf(path)));
  assert.deepEqual(silent, []);
});

test('nothing is left unfinished', () => {
  assert.deepEqual(linesWith(authoredFiles(), UNFINISHED), []);
});

test('no path of one machine is written down', () => {
  assert.deepEqual(linesWith(authoredFiles(), MACHINE_PATH), []);
});

test('no test is switched off or left focused', () => {
  const focused = /\b(test|it|describe|suite)\.(only|todo)\b|\{\s*(only|todo):\s*true/;
  const tests = codeFiles().filter((path) => path.endsWith('.test.ts'));
  assert.deepEqual(linesWith(tests, focused), []);
});

function linesWith(paths: readonly string[], pattern: RegExp): readonly string[] {
  return paths.flatMap((path) =>
    (path === SELF ? '' : textOf(path))
      .split('\n')
      .flatMap((text, index) =>
        pattern.test(text) ? [`${path}:${index + 1}: ${text.trim().slice(0, 120)}`] : [],
      ),
  );
}
