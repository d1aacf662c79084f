import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeFiles, isForTests, textOf } from './tree.ts';

const PURE = [
  'lib',
  'identity',
  'protocol',
  'resource',
  'trust',
  'policy',
  'token',
  'snapshot',
  'compile',
  'alert',
];

// What each layer may import, as ARCHITECTURE.md tells it. Nothing may import bin; tests of a layer may import any layer.
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  identity: ['lib'],
  protocol: ['lib'],
  resource: ['lib', 'identity'],
  trust: ['lib', 'identity', 'resource'],
  policy: ['lib', 'identity'],
  token: ['lib'],
  snapshot: ['lib', 'identity', 'policy', 'token'],
  compile: ['lib', 'identity', 'resource', 'policy', 'token', 'snapshot'],
  alert: ['lib'],
  telemetry: ['lib', 'identity'],
  'record-store': ['lib', 'telemetry'],
  wire: ['lib', 'protocol'],
  revocation: ['lib', 'identity', 'trust', 'telemetry', 'wire'],
  sink: ['lib', 'resource', 'alert', 'audit', 'telemetry', 'wire'],
  audit: ['lib', 'trust'],
  proxy: ['lib', 'identity', 'protocol', 'policy', 'token', 'snapshot', 'telemetry'],
  'ext-authz': ['lib', 'policy', 'snapshot', 'wire', 'proxy'],
  agent: [
    'lib',
    'identity',
    'resource',
    'trust',
    'compile',
    'policy',
    'snapshot',
    'telemetry',
    'wire',
    'revocation',
    'audit',
  ],
  ca: ['lib', 'identity', 'resource', 'trust', 'telemetry', 'wire', 'revocation', 'audit'],
  control: [
    'lib',
    'identity',
    'resource',
    'trust',
    'policy',
    'snapshot',
    'compile',
    'alert',
    'telemetry',
    'record-store',
    'wire',
    'revocation',
    'sink',
    'audit',
  ],
  client: ['lib', 'identity', 'resource', 'trust', 'policy', 'compile', 'wire'],
  cli: [
    'lib',
    'identity',
    'resource',
    'trust',
    'policy',
    'compile',
    'alert',
    'wire',
    'client',
    'audit',
  ],
  local: [
    ...PURE,
    'telemetry',
    'record-store',
    'wire',
    'revocation',
    'sink',
    'audit',
    'proxy',
    'ext-authz',
    'agent',
    'ca',
    'control',
    'client',
    'cli',
  ],
  bin: [
    ...PURE,
    'telemetry',
    'record-store',
    'wire',
    'revocation',
    'sink',
    'audit',
    'proxy',
    'ext-authz',
    'agent',
    'ca',
    'control',
    'client',
    'cli',
    'local',
  ],
  // Nobody but tests may import it.
  testing: ['lib'],
};

const LAYERS: readonly string[] = Object.keys(MAY_IMPORT);
const layerFiles = codeFiles('src');

test('every folder of src is a layer of the table, with an index and an import name', () => {
  const folders = new Set(layerFiles.map((path) => path.split('/')[1]));
  assert.deepEqual([...folders].sort(), [...LAYERS].sort());
  const names = Object.keys(JSON.parse(textOf('package.json')).imports);
  const expected = LAYERS.filter((layer) => layer !== 'bin').map((layer) => `#${layer}`);
  assert.deepEqual([...names].sort(), [...expected].sort());
});

test('a layer imports only the layers below it', () => {
  check(({ layer, path, name }) => {
    if (!name.startsWith('#') || isForTests(path)) return undefined;
    return MAY_IMPORT[layer]?.includes(name.slice(1)) ? undefined : `${layer} may not know ${name}`;
  });
});

test('another layer is reached by its name only, never by a path', () => {
  check(({ layer, path, name }) => {
    if (name.startsWith('#') && name.includes('/')) return 'an import past the index';
    if (!name.startsWith('.')) return undefined;
    const target = new URL(name, `file:///${path}`).pathname.slice(1);
    return target.startsWith(`src/${layer}/`) ? undefined : `a path out of the layer: ${target}`;
  });
});

test('an index stands at the root of a layer only', () => {
  const deep = layerFiles.filter((path) => /^src\/[^/]+\/.+\/index\.ts$/.test(path));
  assert.deepEqual(deep, []);
});

const PURE_BUILTINS = new Set(['node:crypto', 'node:util', 'node:net', 'node:buffer']);
const IMPURE =
  /\b(Date\.now|new Date\(\)|performance\.now|setTimeout|setInterval|setImmediate)\b|\bconsole\.\w+\(|\bprocess\.(?!versions)\w+/;

test('pure layers have no I/O, no clock and no log', () => {
  check(({ layer, path, name }) => {
    if (!PURE.includes(layer) || isForTests(path) || !name.startsWith('node:')) return undefined;
    // `node:net` is there for `isIP` alone.
    return PURE_BUILTINS.has(name) ? undefined : `a pure layer imports ${name}`;
  });
  const impure = layerFiles
    .filter((path) => PURE.includes(path.split('/')[1] ?? '') && !isForTests(path))
    .flatMap((path) => linesOf(path).filter(({ text }) => IMPURE.test(text)))
    .map(({ path, number, text }) => `${path}:${number}: ${text.trim()}`);
  assert.deepEqual(impure, []);
});

test('the console and the demo share no code with the mesh', () => {
  const foreign = [...codeFiles('console/src'), ...codeFiles('demo')].flatMap((path) =>
    importsOf(path)
      .filter((name) => name.startsWith('#') || /\.\.\/src\//.test(name))
      .map((name) => `${path}: ${name}`),
  );
  assert.deepEqual(foreign, []);
});

test('mains compose: no file of bin is longer than 60 lines of code', () => {
  const long = codeFiles('src/bin')
    .map((path) => ({ path, lines: linesOf(path).filter(isCode).length }))
    .filter(({ lines }) => lines > 60);
  assert.deepEqual(long, []);
});

function check(
  problemOf: (entry: { layer: string; path: string; name: string }) => string | undefined,
): void {
  const problems = layerFiles.flatMap((path) => {
    const layer = path.split('/')[1] ?? '';
    return importsOf(path).flatMap((name) => {
      const problem = problemOf({ layer, path, name });
      return problem === undefined ? [] : [`${path}: ${problem}`];
    });
  });
  assert.deepEqual(problems, []);
}

function importsOf(path: string): readonly string[] {
  const text = textOf(path);
  const names = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;'"]*?\bfrom\s*'([^']+)'|\bimport\s*\(?\s*'([^']+)'/g,
  );
  return [...names].map((match) => match[1] ?? match[2] ?? '');
}

type Line = { readonly path: string; readonly number: number; readonly text: string };

function linesOf(path: string): readonly Line[] {
  return textOf(path)
    .split('\n')
    .map((text, index) => ({ path, number: index + 1, text }));
}

function isCode({ text }: Line): boolean {
  return text.trim() !== '' && !/^\s*(\/\/|\/\*|\*)/.test(text);
}
