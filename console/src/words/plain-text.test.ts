import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePlainJson, plainText } from './plain-text.ts';

const cases: { name: string; text: string; expected: string }[] = [
  { name: 'a terminal escape', text: '/a\u001b[31mred', expected: '/a␛[31mred' },
  { name: 'the end of a bracketed paste', text: '\u001b[201~rm', expected: '␛[201~rm' },
  { name: 'text turned round', text: 'gpj\u202efdp', expected: 'gpj⟨U+202E⟩fdp' },
  { name: 'a bell and a delete', text: '\u0007\u007f', expected: '␇␡' },
  { name: 'a C1 escape', text: '\u009b31m', expected: '⟨U+009B⟩31m' },
  { name: 'a carriage return that hides a line', text: 'a\rb', expected: 'a␍b' },
  { name: 'lines and tabs of a source', text: 'a:\n\tb', expected: 'a:\n\tb' },
  { name: 'other scripts', text: 'größe 東京 🙂', expected: 'größe 東京 🙂' },
];

for (const { name, text, expected } of cases) {
  test(`attack: ${name}`, () => {
    assert.equal(plainText(text), expected);
    // However a control plane writes it: raw where JSON allows it, or escaped.
    assert.deepEqual(parsePlainJson(JSON.stringify({ text: [text] })), { text: [expected] });
    const escaped = JSON.stringify(text).replace(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    assert.equal(parsePlainJson(escaped), expected);
  });
}

test('any text: reading it twice changes nothing more', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(plainText(plainText(text)), plainText(text));
      assert.equal(parsePlainJson(JSON.stringify(text)), plainText(text));
    }),
  );
});
