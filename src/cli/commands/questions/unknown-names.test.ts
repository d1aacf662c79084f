import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFakeContext } from '../../fake-context.ts';
import { readPolicySource } from '../../policy-sources.ts';
import { runCli } from '../../program.ts';
import { type NamedInQuestion, noteUnknownNames } from './unknown-names.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-unknown-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const FILE = join(folder, 'shop.yaml');
const service = (name: string, namespace: string, more = ''): string =>
  `apiVersion: palisade.dev/v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {ports: [{port: 80, protocol: http}]${more}}\n---\n`;
writeFileSync(
  FILE,
  [
    service('orders', 'default'),
    service('web', 'default', ', serviceAccounts: [default/frontend]'),
    service('payments', 'shop'),
  ].join(''),
);

const globals = { namespace: 'default' } as Parameters<typeof readPolicySource>[1];
const source = await readPolicySource(createFakeContext(), globals, { files: [FILE], to: [] });

/** Checks what is said of a question, on a mesh and on files. */
function check(
  question: Pick<NamedInQuestion, 'to' | 'from'>,
  onMesh: string,
  onFiles: string,
): void {
  for (const isOffline of [false, true]) {
    const context = createFakeContext();
    noteUnknownNames(context, source, { ...question, namespace: 'default', isOffline });
    const said = context.complained().replaceAll('palisade: ', '');
    assert.equal(said, isOffline ? onFiles : onMesh, JSON.stringify({ question, isOffline }));
  }
}

const NOT_THERE = 'in the mesh, so callers get 404 no_such_service';
const account = (name: string): string => `no Service or Registration has the account \`${name}\``;

test('what is there is not spoken of, nor who is none of ours', () => {
  for (const to of ['orders', 'orders:80', 'default/orders', 'shop/payments', 'payments.shop.svc'])
    for (const from of [undefined, 'web', 'default/frontend', 'spiffe://other.example/ns/a/sa/b'])
      check({ to, from }, '', '');
});

test('the nearest name is proposed for a mistyped one, as it would be typed', () => {
  const meant = (name: string, guess: string): [string, string] => [
    `there is no Service \`${name}\` ${NOT_THERE}; did you mean \`${guess}\`? By policy alone:\n`,
    `there is no Service \`${name}\`; did you mean \`${guess}\`? By policy alone:\n`,
  ];
  check({ to: 'ordesr' }, ...meant('ordesr', 'orders'));
  check({ to: 'ORDRS:80' }, ...meant('ORDRS:80', 'orders'));
  check({ to: 'shop/paymets' }, ...meant('shop/paymets', 'shop/payments'));
  check({ to: 'payments' }, ...meant('payments', 'shop/payments'));
  check({ to: 'shpo/payments' }, ...meant('shpo/payments', 'shop/payments'));
  const caller = `${account('default/wbe')}; did you mean \`web\`?\n`;
  check({ to: 'orders', from: 'wbe' }, caller, caller);
  check({ to: 'orders', from: 'spiffe://cluster.local/ns/default/sa/wbe' }, caller, caller);
  const other = `${account('default/frontent')}; did you mean \`frontend\`?\n`;
  check({ to: 'orders', from: 'frontent' }, other, other);
});

test('what is near nothing is told on a mesh only: files need not hold every Service', () => {
  check({ to: 'search' }, `there is no Service \`search\` ${NOT_THERE}; by policy alone:\n`, '');
  check({ to: 'orders', from: 'cron' }, `${account('default/cron')}\n`, '');
});

test('no name is too odd to ask about', () => {
  for (const to of ['a/b/c', '::', '', 'x'.repeat(10_000), '\u001B[2Jorders'])
    check({ to }, '', '');
  const odd = { to: 'orders', from: `a/b/${'c'.repeat(10_000)}` };
  check(odd, '', '');
});

test('`palisade check` and `who-can` say it, beside the answer', async () => {
  for (const words of [['check', '--from', 'web'], ['who-can']]) {
    const context = createFakeContext();
    await runCli([...words, '--to', 'ordres', '-f', FILE], context);
    assert.match(context.complained(), /did you mean `orders`\?/);
    assert.notEqual(context.printed(), '');
  }
});
