import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResources } from './parse.ts';
import { parseStoredResource } from './parse-stored.ts';

const HEAD = 'apiVersion: palisade.dev/v1\nkind: PolicyTest\nmetadata: {name: t}\n';

function parse(text: string) {
  return parseResources([{ file: 't.yaml', text }], { defaultNamespace: 'shop' });
}

/** Checks that one problem is found, at this line. */
function refuses(name: string, spec: string, code: string, line: number): void {
  test(name, () => {
    const { tests, diagnostics } = parse(HEAD + spec);
    assert.deepEqual(
      diagnostics.map((found) => [found.code, found.line]),
      [[code, line]],
    );
    assert.deepEqual(tests, []);
  });
}

test('a verdict may stand alone or with what decided it', () => {
  const { tests, diagnostics, resources } = parse(
    `${HEAD}spec:\n  cases:\n    - {name: a, to: x, expect: allow}\n    - {name: b, from: web, to: x, request: {path: /p}, expect: {verdict: deny, policy: p, rule: 0}}\n`,
  );
  assert.deepEqual([diagnostics, resources], [[], []]);
  const [found] = tests;
  assert.equal(found?.test.metadata.namespace, 'shop');
  assert.deepEqual(found?.test.cases, [
    { name: 'a', to: 'x', expect: { verdict: 'allow' } },
    {
      name: 'b',
      from: 'web',
      to: 'x',
      request: { path: '/p' },
      expect: { verdict: 'deny', policy: 'p', rule: 0 },
    },
  ]);
  assert.equal(found?.position(['spec', 'cases', 1, 'name']).line, 7);
});

refuses('a case without expectation', 'spec: {cases: [{name: a, to: x}]}', 'missing_field', 4);
refuses('no cases', 'spec: {cases: []}', 'empty_value', 4);
refuses(
  'an unknown field, so that a typing error tests nothing by silence',
  'spec: {cases: [{name: a, to: x, form: web, expect: deny}]}',
  'unknown_field',
  4,
);
refuses(
  'a verdict there is not',
  'spec: {cases: [{name: a, to: x, expect: maybe}]}',
  'bad_value',
  4,
);
refuses(
  'a time that is none',
  'spec: {cases: [{name: a, to: x, at: noon, expect: deny}]}',
  'bad_value',
  4,
);

test('attack: a test handed in as a resource is refused', () => {
  const stored = parseStoredResource({
    apiVersion: 'palisade.dev/v1',
    kind: 'PolicyTest',
    metadata: { name: 't', namespace: 'shop' },
    spec: { cases: [{ name: 'a', to: 'x', expect: 'allow' }] },
  });
  assert.equal(stored.ok, false);
});
