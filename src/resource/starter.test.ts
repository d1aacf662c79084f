import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crossCheck } from './cross-check.ts';
import { parseResources } from './parse.ts';
import { starterResources } from './starter.ts';
import { resourceToYaml } from './to-yaml.ts';

// What starts with a dot belongs to other tools, and is not read as resources.
const FILES = starterResources()
  .filter(({ path }) => !path.startsWith('.') && path.endsWith('.yaml'))
  .map(({ path, text }) => ({ file: path, text }));

test('what `init` writes validates cleanly in any mesh and namespace', () => {
  for (const options of [
    { defaultNamespace: 'default' },
    { defaultNamespace: 'shop', trustDomain: 'example.org' },
  ]) {
    const { resources, tests, diagnostics } = parseResources(FILES, options);
    assert.deepEqual(diagnostics, []);
    assert.equal(resources.length + tests.length, FILES.length);
    assert.equal(tests.length, 1);
  }
  const { resources } = parseResources(FILES, { defaultNamespace: 'default' });
  assert.deepEqual(crossCheck(resources, []), []);
});

test('a resource written as YAML reads back as itself', () => {
  const { resources } = parseResources(FILES, { defaultNamespace: 'default' });
  for (const { resource } of resources) {
    const text = resourceToYaml(resource);
    const again = parseResources([{ file: 'f', text }], { defaultNamespace: 'elsewhere' });
    assert.deepEqual(again.diagnostics, []);
    assert.deepEqual(again.resources[0]?.resource, resource);
    assert.match(text, /^apiVersion: \S+\nkind: \S+\nmetadata:\n {2}name: /);
  }
});

test('the starter holds what its README names', () => {
  const paths = starterResources().map(({ path }) => path);
  const readme = starterResources().find(({ path }) => path === 'README.md')?.text ?? '';
  for (const [, name = ''] of readme.matchAll(/\| `([^`]+)` \|/g)) {
    assert.ok(
      paths.some((path) => path === name || path.startsWith(name)),
      name,
    );
  }
});
