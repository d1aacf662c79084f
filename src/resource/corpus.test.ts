import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseResources } from './parse.ts';

const CORPORA =
  process.env['PALISADE_CORPORA'] ?? join(import.meta.dirname, '../../../shared/corpora');
const FOLDER = join(CORPORA, 'istio-authz');

test("Istio's own policies are accepted but for what this version does not support", (t) => {
  if (!existsSync(FOLDER)) return t.skip(`no corpus in ${FOLDER}`);
  let accepted = 0;
  for (const kind of readdirSync(FOLDER)) {
    for (const file of readdirSync(join(FOLDER, kind)).filter((name) =>
      name.endsWith('-in.yaml'),
    )) {
      const text = readFileSync(join(FOLDER, kind, file), 'utf8');
      const { resources, diagnostics } = parseResources([{ file, text }], {
        defaultNamespace: 'default',
      });
      accepted += resources.length;
      const errors = diagnostics.filter(
        ({ severity, code }) => severity === 'error' && code !== 'unsupported',
      );
      assert.deepEqual(errors, []);
    }
  }
  assert.ok(accepted > 0);
});
