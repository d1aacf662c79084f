import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { indexRegistrations, matchRegistrations } from './index.ts';

const of = (...selectors: string[]) => ({ spec: { selectors } });

test('a registration is for processes that have all its selectors', () => {
  const attested = ['unix:uid:1000', 'unix:gid:100', 'unix:path:/usr/bin/python3'];
  const cases: [string[], boolean][] = [
    [['unix:uid:1000'], true],
    [['unix:uid:1000', 'unix:path:/usr/bin/python3'], true],
    [['unix:uid:1000', 'unix:uid:1000'], true],
    [['unix:uid:100'], false],
    [['unix:uid:1000', 'unix:uid:0'], false],
    [['UNIX:UID:1000'], false],
    [[''], false],
    [[], false],
  ];
  for (const [selectors, matches] of cases) {
    const found = matchRegistrations(attested, [of(...selectors)]);
    assert.equal(found.length === 1, matches, selectors.join());
  }
  assert.deepEqual(matchRegistrations([], [of('unix:uid:0'), of()]), []);
});

test('an index finds the same, in the same order', () => {
  // Few names, so that many registrations match, share selectors, repeat them or have none.
  const selectors = fc.array(fc.constantFrom('a', 'b', 'c', 'd', ''), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(selectors, { maxLength: 12 }), selectors, (registered, attested) => {
      const registrations = registered.map((each) => of(...each));
      const found = indexRegistrations(registrations)(attested);
      assert.deepEqual(found, matchRegistrations(attested, registrations));
      for (const each of found) assert.ok(registrations.includes(each));
    }),
  );
});
