// A set number of cases for each parser; `npm run fuzz` goes on for as long as it is let.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { createRandom, mutate, shrink } from './mutate.ts';
import { TARGETS } from './targets.ts';

const CASES = Number(process.env['FUZZ_CASES'] ?? 20_000);

for (const { name, seeds, tokens, run } of TARGETS) {
  test(`${name}: its seeds and ${CASES} changed ones`, () => {
    for (const seed of seeds) run(seed);
    const random = createRandom(1);
    for (let done = 0; done < CASES; done++) {
      const bytes = mutate(seeds, tokens, random);
      try {
        run(bytes);
      } catch (cause) {
        assert.fail(`case ${done} (${JSON.stringify(bytes.toString('latin1'))}): ${cause}`);
      }
    }
  });
}

test('every target is listed', () => {
  const files = readdirSync(new URL('targets', import.meta.url));
  assert.deepEqual(
    TARGETS.map(({ name }) => `${name}.ts`).sort(),
    files.filter((file) => file.endsWith('.ts')).sort(),
  );
});

test('the same seed gives the same cases, and shrinking keeps what fails', () => {
  const seeds = [Buffer.from('GET / HTTP/1.1\r\n\r\n')];
  const some = (seed: number) => {
    const random = createRandom(seed);
    return Array.from({ length: 50 }, () => mutate(seeds, ['x'], random).toString('hex'));
  };
  assert.deepEqual(some(7), some(7));
  assert.notDeepEqual(some(7), some(8));
  const shrunk = shrink(Buffer.from('aaaaabaaaaacaaaa'), (bytes) =>
    /b.*c/.test(bytes.toString('latin1')),
  );
  assert.equal(shrunk.toString(), 'bc');
});
