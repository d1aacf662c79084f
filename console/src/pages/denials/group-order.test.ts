import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DenialGroup } from '../../api/denial.ts';
import { sortGroups, steadyOrder } from './group-order.ts';

/** Groups by id and count, such as `a9 b7`. */
function groups(text: string): readonly DenialGroup[] {
  return text.split(' ').map((word) => {
    const [id = '', count = ''] = [word.slice(0, 1), word.slice(1)];
    return { id, count: Number(count), last: '' } as unknown as DenialGroup;
  });
}

const cases: { name: string; before: string; now: string; order: string }[] = [
  { name: 'nothing was shown yet', before: '', now: 'a5 b9', order: 'ba' },
  { name: 'one overtakes by little', before: 'ab', now: 'a100 b104', order: 'ab' },
  { name: 'one overtakes by much', before: 'ab', now: 'a100 b130', order: 'ba' },
  { name: 'by little, step by step', before: 'abc', now: 'a100 b120 c140', order: 'cba' },
  { name: 'a new one', before: 'ab', now: 'a100 b104 c1', order: 'bac' },
  { name: 'one has gone', before: 'abc', now: 'a100 c104', order: 'ac' },
];

for (const { name, before, now, order } of cases) {
  test(`the order of denials: ${name}`, () => {
    const shown = steadyOrder(before.split('').filter(Boolean), sortGroups(groups(now)));
    assert.equal(shown.map(({ id }) => id).join(''), order);
  });
}
