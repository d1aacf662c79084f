import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchRegistrations } from './index.ts';

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
