import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { crossCheck } from './cross-check.ts';
import { parseResources } from './parse.ts';
import { renderDiagnostics } from './render.ts';

const FOLDER = new URL('./testdata/', import.meta.url);

/** Every problem of `testdata/NAME.yaml`, as people see it, is `testdata/NAME.txt`. */
function check(name: string): void {
  const text = readFileSync(new URL(`${name}.yaml`, FOLDER), 'utf8');
  const parsed = parseResources([{ file: `${name}.yaml`, text }], {
    defaultNamespace: 'default',
    trustDomain: 'cluster.local',
  });
  const all = [...parsed.diagnostics, ...crossCheck(parsed.resources, [])];
  const rendered = renderDiagnostics(all, { color: false });
  const golden = new URL(`${name}.txt`, FOLDER);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, rendered);
  assert.equal(rendered, readFileSync(golden, 'utf8'));
  assert.ok(all.length > 0);
}

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))) {
  const name = file.slice(0, -'.yaml'.length);
  test(`diagnostics of ${name}`, () => check(name));
}
