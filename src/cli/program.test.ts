import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commandLoaders } from './commands.ts';
import { createFakeContext } from './fake-context.ts';
import { runCli } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-cli-'));
after(() => rmSync(folder, { recursive: true }));
const nowhere = join(folder, 'no-mesh');

type Case = {
  readonly argv: readonly string[];
  readonly status: number;
  readonly says: RegExp;
  readonly stdin?: string;
};

async function check({ argv, status, says, stdin }: Case): Promise<void> {
  const context = createFakeContext(stdin === undefined ? {} : { stdin });
  const got = await runCli(['--data', nowhere, ...argv], context);
  const text = context.printed() + context.complained();
  assert.match(text, says);
  assert.equal(got, status, text);
}

const POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: a }
spec:
  selector: { matchLabels: { app: orders } }
  action: ALLOW
  rules:
    - from: [{ source: { principals: [cluster.local/ns/default/sa/web] } }]
      to: [{ operation: { methods: [GET] } }]
`;

test('usage errors exit with 2 and say what to do next', async () => {
  await check({
    argv: ['frobnicate'],
    status: 2,
    says: /`frobnicate` is not a command\n {2}help:/,
  });
  await check({ argv: ['stat'], status: 2, says: /did you mean `status`/ });
  await check({ argv: ['check', '--nonsense'], status: 2, says: /unknown option/ });
  await check({ argv: ['check'], status: 2, says: /no service is named/ });
  await check({ argv: ['run', '--service', 'x'], status: 2, says: /no application to run/ });
  await check({ argv: ['get', 'horses'], status: 2, says: /not a kind of resource/ });
  await check({ argv: ['version', '-o', 'xml'], status: 2, says: /not an output format/ });
  await check({ argv: ['validate', join(folder, 'missing')], status: 2, says: /no such file/ });
  await check({ argv: ['up', '--port', '99999'], status: 2, says: /port number from 0 to 65535/ });
});

test('a value that is none is a usage error, not an empty answer or a defect', async () => {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, POLICY);
  const ask = ['check', '-f', file, '--to', 'orders'];
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['log', '--limit', 'abc'], /`abc` is invalid: write a whole number from 1 on\n {2}help:/],
    [['log', '--limit', '0'], /`0` is invalid/],
    [['log', '--status', 'foo'], /write a status such as 403/],
    [['log', '--verdict', 'nope'], /Allowed choices are allow, deny/],
    [['--server', 'foo', 'status'], /`foo` is no address.*\n {2}help: write https:/],
    [['--server', 'http://127.0.0.1:7700', 'status'], /is no address of a control plane/],
    [['-n', 'Bad NS', 'get', 'service'], /write lower-case letters/],
    [['run', '--service', 'A b', '--', 'true'], /write lower-case letters/],
    [['proxy', '--service', 'A b'], /write lower-case letters/],
    [[...ask, '--from', 'bad id!'], /` ` is not allowed in a SPIFFE ID's path/],
    [[...ask, '--from', '../web'], /`\.` or `\.\.`/],
    [[...ask, '--source-ip', '999'], /`999` is not an IPv4 or IPv6 address/],
    [[...ask, '--attestation', 'strong'], /`strong` is no strength .* process/],
    [['init', file], /cannot write `.*`: a part of the path is a file.*\n {2}help:/],
    [['log', '--denid'], /unknown option `--denid`\n {2}help: did you mean --denied\?/],
  ];
  for (const [argv, says] of cases) await check({ argv, status: 2, says });
});

test('below npm and npx, commands are told as they have to be typed', async () => {
  for (const env of [{ npm_command: 'exec' }, { npm_lifecycle_event: 'start' }]) {
    const failed = createFakeContext({ env });
    await runCli(['--data', nowhere, 'status'], failed);
    assert.match(failed.complained(), /start one with `npx palisade up`/);
    const helped = createFakeContext({ env });
    await runCli(['apply', '--help'], helped);
    assert.match(
      helped.printed(),
      /\$ npx palisade apply -f policies && npx palisade status --wait/,
    );
    assert.doesNotMatch(helped.printed(), /npx npx|[^x] palisade [a-z]/);
    const made = createFakeContext({ env });
    await runCli(['init', join(folder, `made-${Object.keys(env)[0]}`)], made);
    assert.match(made.printed(), /next: npx palisade validate .* && npx palisade apply -f/);
  }
});

test('defaults are shown as they would be typed', async () => {
  for (const [argv, shows] of [
    [['status', '--help'], /default:\s+30s\)/],
    [['bundle-endpoint', '--help'], /default:\s+127\.0\.0\.1:8443\)/],
    [['ca', 'sign-csr', '--help'], /default: 90d\)/],
  ] as const) {
    const context = createFakeContext();
    await runCli(argv, context);
    assert.match(context.printed(), shows);
  }
});

test('commands that need a mesh exit with 3 where there is none', async () => {
  for (const argv of [
    ['status'],
    ['log'],
    ['get', 'all'],
    ['identity', 'list'],
    ['explain', 'x'],
  ]) {
    await check({
      argv,
      status: 3,
      says: /there is no mesh in .*\n {2}help: start one with `palisade up`/,
    });
  }
});

test('check answers from files: 0 allowed, 1 denied', async () => {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, POLICY);
  const ask = ['check', '-f', file, '--to', 'orders', '--path', '/'];
  await check({
    argv: [...ask, '--from', 'web'],
    status: 0,
    says: /^allowed: a policy allows it \(default\/a, rule 0\)/,
  });
  await check({
    argv: [...ask, '--from', 'web', '--method', 'POST'],
    status: 1,
    says: /^denied: .*none of their rules/,
  });
  await check({ argv: ask, status: 1, says: /^denied/ });
  await check({ argv: [...ask, '--from', 'spiffe://no id'], status: 2, says: /palisade: / });
  await check({
    argv: [...ask, '--from', 'web', '-o', 'json'],
    status: 0,
    says: /"verdict": "allow"/,
  });
});

test('a batch answers each line, also the bad ones', async () => {
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, POLICY);
  const stdin =
    '{"from":"web","to":"orders","path":"/"}\n{"to":"orders","method":"GET"}\nnonsense\n{"to":"orders","colour":1}\n';
  const context = createFakeContext({ stdin });
  assert.equal(await runCli(['check', '-f', file, '--batch', '-'], context), 2);
  const answers = context
    .printed()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    answers.map((answer) => answer.verdict ?? answer.error),
    ['allow', 'deny', 'the line is not JSON', answers[3].error],
  );
  assert.match(answers[3].error, /unknown name `colour`/);
});

test('validate tells every problem of every file at once and exits with 2', async () => {
  const bad = join(folder, 'bad');
  const context = createFakeContext();
  await runCli(['init', bad], context);
  writeFileSync(join(bad, 'one.yaml'), POLICY.replace('methods', 'method'));
  writeFileSync(join(bad, 'two.yaml'), 'kind: Service\n');
  await check({ argv: ['validate', bad], status: 2, says: /one\.yaml:[\s\S]*two\.yaml:/ });
  rmSync(join(bad, 'one.yaml'));
  rmSync(join(bad, 'two.yaml'));
  await check({ argv: ['validate', bad], status: 0, says: /no problem found/ });
});

test('init leaves a folder in use alone', async () => {
  const used = join(folder, 'used');
  await check({ argv: ['init', used], status: 0, says: /wrote/ });
  const before = readdirSync(used).length;
  await check({ argv: ['init', used], status: 2, says: /not empty, and nothing was written/ });
  assert.equal(readdirSync(used).length, before);
});

test('every command has help with an example', async () => {
  for (const verb of Object.keys(commandLoaders)) {
    if (verb === 'version' || verb === 'identity') continue;
    await check({ argv: [verb, '--help'], status: 0, says: /Example/ });
  }
});
