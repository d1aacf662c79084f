import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicySetDetail } from '../../api/policy-set.ts';
import {
  changedResources,
  comparePlace,
  resourceText,
  type VersionPair,
  versionPair,
} from './compared-versions.ts';

const pairs: { query: string; newest: number; pair: VersionPair | undefined }[] = [
  { query: '', newest: 7, pair: { before: 6, after: 7 } },
  { query: '?before=2&after=5', newest: 7, pair: { before: 2, after: 5 } },
  { query: '?after=5', newest: 7, pair: { before: 4, after: 5 } },
  { query: '?before=3', newest: 7, pair: { before: 3, after: 7 } },
  { query: '?after=1', newest: 7, pair: { before: 2, after: 1 } },
  // One that is not there is asked for all the same: the control plane knows what it keeps.
  { query: '?before=99', newest: 7, pair: { before: 99, after: 7 } },
  { query: '?before=0&after=-1', newest: 7, pair: { before: 6, after: 7 } },
  { query: '?before=6e3&after=<b>', newest: 7, pair: { before: 6, after: 7 } },
  { query: '', newest: 1, pair: undefined },
  { query: '?before=1&after=2', newest: 0, pair: undefined },
];

for (const { query, newest, pair } of pairs) {
  test(`the versions of \`${query}\` where ${newest} is the newest`, () => {
    assert.deepEqual(versionPair(new URLSearchParams(query), newest), pair);
  });
}

test('the address of a comparison asks for it again', () => {
  assert.equal(comparePlace('shop'), '/policies?view=compare&ns=shop');
  const place = new URL(comparePlace('shop', 3, 7), 'http://console');
  assert.deepEqual(versionPair(place.searchParams, 9), { before: 3, after: 7 });
});

function version(number: number, resources: PolicySetDetail['resources']): PolicySetDetail {
  return { namespace: 'shop', number, resources, sources: { 'A/kept': 'as written' } };
}

test('resources that came, went or changed are told, not those that were written in another order', () => {
  const before = version(1, {
    'A/gone': {},
    'A/kept': { spec: { a: 1, b: [1, 2] } },
    'A/other': { spec: [1, 2] },
  });
  const after = version(2, {
    'A/kept': { spec: { b: [1, 2], a: 1 } },
    'A/new': {},
    'A/other': { spec: [2, 1] },
  });
  assert.deepEqual(changedResources(before, after), [
    { key: 'A/gone', change: 'deleted' },
    { key: 'A/new', change: 'added' },
    { key: 'A/other', change: 'changed' },
  ]);
  assert.equal(resourceText(before, 'A/kept'), 'as written');
  assert.equal(resourceText(before, 'A/gone'), '{}');
  assert.equal(resourceText(after, 'A/gone'), '');
});
