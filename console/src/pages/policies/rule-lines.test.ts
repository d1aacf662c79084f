import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ruleLines } from './rule-lines.ts';

const cases: { name: string; source: string; expected: number[] }[] = [
  { name: 'no rules', source: 'spec:\n  action: ALLOW\n', expected: [] },
  { name: 'flow style', source: 'spec: {rules: [{}]}', expected: [] },
  {
    name: 'two rules with lists inside',
    source:
      'spec:\n  rules:\n    - from:\n        - source: {}\n      to:\n        - operation: {}\n    - {}\n',
    expected: [3, 7],
  },
  {
    name: 'items at the depth of their key',
    source: 'spec:\n  rules:\n  - {}\n  - {}\n  a: b\n  - {}',
    expected: [3, 4],
  },
  {
    name: 'comments between',
    source: 'spec:\n  rules: # who\n\n    # one\n    - {}\n',
    expected: [5],
  },
];

for (const { name, source, expected } of cases) {
  test(`where rules begin: ${name}`, () => {
    assert.deepEqual(ruleLines(source), expected);
  });
}
