import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunningMesh } from '#local';
import { demoHints, upHints } from './hints.ts';

const mesh = {
  settings: { trustDomain: 'cluster.local' },
  folder: { root: '/data' },
} as unknown as RunningMesh;

// Where a command's words begin, by line.
function columns(text: string): number[] {
  const rows = text.split('\n').filter((line) => /^ {2}\S.* {3}\S/.test(line));
  return rows.map((line) => line.lastIndexOf('   ') + 3);
}

test('the words beside commands stand in one column, however long a process id or folder is', () => {
  for (const text of [
    upHints(mesh, false),
    demoHints(mesh, ['web'], false),
    demoHints(mesh, ['web'], true),
  ]) {
    const found = columns(text);
    assert.ok(found.length >= 3, text);
    assert.equal(new Set(found).size, 1, text);
  }
});

test('a demo beside the user’s own mesh says in each command which data folder is meant', () => {
  const commands = demoHints(mesh, ['web'], true).match(/^.*palisade .*$/gm) ?? [];
  assert.ok(commands.length >= 5);
  for (const command of commands) assert.match(command, /PALISADE_DATA=\/data /);
});
