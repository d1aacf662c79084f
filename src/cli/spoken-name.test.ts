import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asTyped, spokenName } from './spoken-name.ts';

const NPX = { npm_command: 'exec' };

test('who called by name is told that name', () => {
  assert.equal(spokenName({}), 'palisade');
  assert.equal(spokenName(NPX), 'npx palisade');
  const text = 'see `palisade doctor`';
  assert.equal(asTyped(text, {}), text);
});

function typed(text: string, expected: string): void {
  test(`\`${text}\` below npx`, () => assert.equal(asTyped(text, NPX), expected));
}

typed('see `palisade doctor`', 'see `npx palisade doctor`');
typed('  $ palisade up --demo', '  $ npx palisade up --demo');
typed('palisade init a && palisade apply -f a', 'npx palisade init a && npx palisade apply -f a');
typed('trace "$(palisade log)"', 'trace "$(npx palisade log)"');
typed('write it after --: palisade run', 'write it after --: npx palisade run');
typed('`npx palisade doctor`', '`npx palisade doctor`');
typed('what palisade is', 'what palisade is');
typed('/var/lib/palisade --all', '/var/lib/palisade --all');
