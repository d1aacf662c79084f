import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createFakeContext } from '../../fake-context.ts';
import { FILTER_FIELDS, noteUnknownFields } from './record-fields.ts';

function check(where: readonly string[], expected: string): void {
  const context = createFakeContext();
  noteUnknownFields(context, { where });
  assert.equal(context.complained(), expected);
}

test('a field that no record has is named, with the nearest that there is', () => {
  check([], '');
  check(['status>=500', 'tls.group!=null', 'node=x', 'headers~a'], '');
  check(['stauts=500'], 'palisade: records have no field `stauts`; did you mean `status`?\n');
  check(['nonsense=1'], 'palisade: records have no field `nonsense`\n');
});

test('they are the fields of the reference', () => {
  const url = new URL('../../../../docs/reference/records.md', import.meta.url);
  const [head = ''] = readFileSync(url, 'utf8').split('\n## ');
  const rows = head.split('\n').filter((line) => line.startsWith('| `'));
  const named = rows.flatMap((row) => {
    const [, names = ''] = row.split('|');
    return [...names.matchAll(/`([a-z_.]+)`/g)].map(([, name = '']) => name);
  });
  const added = ['redaction_key', 'node', 'record.id'];
  assert.deepEqual([...FILTER_FIELDS].sort(), [...named, ...added].sort());
});
