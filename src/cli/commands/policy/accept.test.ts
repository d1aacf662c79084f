// Dangerous findings are refused unless their author says that they are meant.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFakeContext } from '../../fake-context.ts';
import { runCli } from '../../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-accept-'));
after(() => rmSync(folder, { recursive: true }));

const SERVICE = `
---
apiVersion: palisade.dev/v1
kind: Service
metadata: {name: redis}
spec: {ports: [{port: 6379, protocol: tcp}]}
`;
const policy = (rules: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p}
spec: {selector: {matchLabels: {app: redis}}, rules: [${rules}]}
`;

/** A document and the code of what is dangerous about it. */
const DANGEROUS: readonly (readonly [code: string, text: string])[] = [
  ['wide_wildcard', policy('{from: [{source: {principals: ["cluster.local/ns/*"]}}]}') + SERVICE],
  ['http_field_on_tcp', policy('{to: [{operation: {methods: [GET]}}]}') + SERVICE],
  [
    'fails_open',
    `apiVersion: palisade.dev/v1
kind: Mesh
spec:
  extensionProviders:
    - {name: opa, envoyExtAuthzGrpc: {service: 127.0.0.1, port: 9191, failOpen: true}}
`,
  ],
];

async function validate(file: string, ...more: string[]) {
  const context = createFakeContext({});
  const status = await runCli(['--data', join(folder, 'none'), 'validate', file, ...more], context);
  return { status, text: context.printed() + context.complained() };
}

for (const [code, text] of DANGEROUS) {
  test(`${code} is refused, and taken where it is accepted by its code and no other`, async () => {
    const file = join(folder, `${code}.yaml`);
    writeFileSync(file, text);
    const refused = await validate(file);
    assert.equal(refused.status, 2, refused.text);
    assert.match(refused.text, new RegExp(`error\\[${code}\\]|error.*${code}`));
    assert.match(refused.text, new RegExp(`if it is meant, --accept ${code}`));
    const accepted = await validate(file, '--accept', code);
    assert.equal(accepted.status, 0, accepted.text);
    assert.match(accepted.text, new RegExp(code), 'still said');
    const other = DANGEROUS.map(([one]) => one).find((one) => one !== code) ?? '';
    assert.equal((await validate(file, '--accept', other)).status, 2);
  });
}

test('what is simply wrong cannot be accepted', async () => {
  const file = join(folder, 'wrong.yaml');
  writeFileSync(file, policy('{to: [{operation: {method: [GET]}}]}'));
  const { status, text } = await validate(file, '--accept', 'unknown_field');
  assert.equal(status, 2);
  assert.match(text, /write one of fails_open, .*wide_wildcard/);
});
