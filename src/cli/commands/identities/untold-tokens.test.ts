import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { layoutOf, type Session } from '#client';
import { tellOrKeep, tellUntold } from './untold-tokens.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'palisade-untold-'));
after(() => rmSync(dataDir, { recursive: true }));
const folder = layoutOf(dataDir);
mkdirSync(folder.author.folder, { recursive: true });
const FILE = join(folder.author.folder, 'untold-join-tokens.json');
const NOW = Date.UTC(2026, 0, 31);
const made = (id: string, minutes = 10) => ({
  id,
  host: `node-${id}`,
  expiresAt: new Date(NOW + minutes * 60_000).toISOString(),
});

function session(isAway: () => boolean) {
  const told: unknown[] = [];
  const api = {
    call(_method: string, _path: string, { body }: { body: unknown }) {
      if (isAway()) return Promise.reject(new Error('away'));
      told.push(body);
      return Promise.resolve();
    },
  };
  return { told, session: { api, folder } as unknown as Session };
}

test('a token that nobody could be told of is told at the next chance, once', async () => {
  // There is no mesh in this folder: nothing can be reached.
  assert.notEqual(await tellOrKeep(folder, { dataDir, server: undefined }, made('a')), undefined);
  assert.notEqual(
    await tellOrKeep(folder, { dataDir, server: undefined }, made('b', 20)),
    undefined,
  );
  assert.ok(existsSync(FILE));
  let away = true;
  const world = session(() => away);
  assert.deepEqual(await tellUntold(world.session, NOW), [made('a'), made('b', 20)]);
  away = false;
  assert.deepEqual(await tellUntold(world.session, NOW + 15 * 60_000), [], 'one has expired');
  assert.deepEqual(world.told, [made('b', 20)]);
  assert.deepEqual(await tellUntold(world.session, NOW), []);
  assert.equal(world.told.length, 1);
  assert.equal(readFileSync(FILE, 'utf8'), '[]');
});

test('a list that somebody damaged is none', async () => {
  const world = session(() => false);
  for (const text of ['{', '{"a":1}', '[null, {"id": 7}]']) {
    writeFileSync(FILE, text);
    assert.deepEqual(await tellUntold(world.session, NOW), []);
  }
  assert.deepEqual(world.told, []);
});
