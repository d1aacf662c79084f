import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Block, type Inline, parseMarkdown } from './markdown.ts';

function written(block: Block): string {
  const line = (inline: readonly Inline[]): string =>
    inline
      .map((piece) => (piece.kind === 'text' ? piece.text : `<${piece.kind} ${piece.text}>`))
      .join('');
  switch (block.kind) {
    case 'heading':
      return `h${block.level} ${line(block.inline)}`;
    case 'paragraph':
      return `p ${line(block.inline)}`;
    case 'code':
      return `code ${block.text}`;
    case 'list':
      return `${block.ordered ? 'ol' : 'ul'} ${block.items.map(line).join(' | ')}`;
    case 'table':
      return `table ${block.rows.map((row) => row.map(line).join(', ')).join(' | ')}`;
  }
}

const cases: { name: string; source: string; expected: string[] }[] = [
  {
    name: 'a heading and its text',
    source: '# Stale\nwhat\nit is',
    expected: ['h1 Stale', 'p what it is'],
  },
  {
    name: 'a list whose items go on',
    source: '1. look at `status`\n   twice\n2. **stop**\n\nafter',
    expected: ['ol look at <code status> twice | <strong stop>', 'p after'],
  },
  {
    name: 'code as it is',
    source: '```sh\npalisade status\n\n# no heading\n```',
    expected: ['code palisade status\n\n# no heading'],
  },
  { name: 'a fence that never ends', source: '```\na', expected: ['code a'] },
  {
    name: 'a table',
    source: '| a | b |\n|---|---|\n| `1` | 2 |',
    expected: ['table a, b | <code 1>, 2'],
  },
  { name: 'a link', source: 'see [it](other.md), *now*', expected: ['p see <link it>, <em now>'] },
  {
    name: 'markup',
    source: '<img src=x onerror=alert(1)>',
    expected: ['p <img src=x onerror=alert(1)>'],
  },
];

for (const { name, source, expected } of cases) {
  test(`markdown: ${name}`, () => assert.deepEqual(parseMarkdown(source).map(written), expected));
}

test('any text is read to its end', () => {
  const line = fc.stringMatching(/^[ `#|*1.)\-a[\](]{0,12}$/);
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      assert.ok(Array.isArray(parseMarkdown(lines.join('\n'))));
    }),
  );
});
