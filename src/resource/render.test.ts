import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Diagnostic } from './diagnostic.ts';
import { renderDiagnostics } from './render.ts';
import { createSource } from './source.ts';

function diagnostic(
  text: string,
  word: string,
  severity: Diagnostic['severity'] = 'error',
): Diagnostic {
  const start = text.indexOf(word);
  const span = createSource('f.yaml', text).span([start, start + word.length]);
  return { code: 'bad_value', severity, message: 'wrong', help: 'write it right', ...span };
}

/** The line and underline shown for `word` in `text`. */
function check(
  text: string,
  word: string,
  expected: readonly [line: string, underline: string],
): void {
  const lines = renderDiagnostics([diagnostic(text, word)], { color: false }).split('\n');
  assert.deepEqual(
    lines.slice(3, 5).map((line) => line.slice(4)),
    expected,
  );
}

test('the underline stands below the word', () => {
  check('a: bad', 'bad', ['a: bad', '   ^^^']);
  check('\ta: bad', 'bad', ['    a: bad', '       ^^^']);
  check('名: bad 名', 'bad', ['名: bad 名', '    ^^^']);
  check('a: "名前"', '"名前"', ['a: "名前"', '   ^^^^^^']);
  check('e\u0301: bad', 'bad', ['e\u0301: bad', '   ^^^']);
  check('a: bad\r\nb: 1', 'bad', ['a: bad', '   ^^^']);
  check('a: |\n  bad\n', '|\n  bad', ['a: |', '   ^']);
});

test('a very long line is shown around the word', () => {
  const text = `${'x'.repeat(5000)} bad ${'y'.repeat(5000)}`;
  const [line = '', underline = ''] = renderDiagnostics([diagnostic(text, 'bad')], { color: false })
    .split('\n')
    .slice(3, 5);
  assert.ok(line.length < 500 && line.includes('…x'));
  assert.equal(line.slice(underline.indexOf('^'), underline.lastIndexOf('^') + 1), 'bad');
});

test('control characters of a hostile file do not reach the terminal', () => {
  const text = 'a: \u001B[2J\u202Ebad\u0007';
  const rendered = renderDiagnostics(
    [{ ...diagnostic(text, 'bad'), file: 'f\u001B.yaml', message: 'no\u009B' }],
    {
      color: false,
    },
  );
  assert.doesNotMatch(rendered, /[^\P{Cc}\n]|\u202E/u);
});

test('a last line counts', () => {
  const last = (...found: readonly Diagnostic[]) =>
    renderDiagnostics(found, { color: false }).trimEnd().split('\n').at(-1);
  const error = diagnostic('a', 'a');
  const warning = diagnostic('a', 'a', 'warning');
  assert.equal(last(error), '1 error in 1 file');
  assert.equal(last(warning, warning), '2 warnings in 1 file');
  assert.equal(last(error, { ...warning, file: 'g' }), '1 error, 1 warning in 2 files');
  assert.equal(renderDiagnostics([], { color: false }), '');
});

test('colours come only when asked for', () => {
  const found = [diagnostic('a: bad', 'bad')];
  assert.ok(renderDiagnostics(found, { color: true }).includes('\u001B[31m'));
  assert.ok(!renderDiagnostics(found, { color: false }).includes('\u001B'));
});
