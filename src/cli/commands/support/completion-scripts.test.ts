import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commandLoaders } from '../../commands.ts';
import { createFakeContext } from '../../fake-context.ts';
import { type FakeControlPlane, startFakeControlPlane } from '../../fake-control-plane.ts';
import { runCli } from '../../program.ts';
import { fakePalisade, offeredBy, whyNoShell } from './completing-shell.ts';
import { completedNames } from './completion-names.ts';

// Real shells decide: what a script is good for is what Tab offers.

const folder = mkdtempSync(join(tmpdir(), 'palisade-completion-'));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'a policy.yaml'), '');

async function scriptFor(shell: string): Promise<string> {
  const context = createFakeContext();
  assert.equal(await runCli(['completion', shell], context), 0);
  const path = join(folder, `script.${shell}`);
  writeFileSync(path, context.printed());
  return path;
}

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** Each line, what it must offer, and what it must not. */
const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['palisade ', Object.keys(commandLoaders), ['--data', 'a policy.yaml']],
  ['palisade che', ['check'], ['log']],
  ['palisade log --de', ['--denied'], ['--to']],
  ['palisade log --da', ['--data'], ['--denied']],
  ['palisade log --verdict ', ['allow', 'deny'], ['a policy.yaml']],
  ['palisade -o ', ['text', 'json', 'yaml'], ['log']],
  ['palisade status -o j', ['json'], ['text']],
  ['palisade -n log get au', ['authorizationpolicy'], ['audit']],
  ['palisade identity ', ['list', 'show', 'revoke', 'unrevoke'], ['a policy.yaml']],
  ['palisade audit hold ', ['add', 'list', 'release'], ['verify']],
  ['palisade audit hold add --rea', ['--reason'], ['--action']],
  ['palisade completion ', ['bash', 'zsh', 'fish'], ['a policy.yaml']],
  ['palisade validate ', ['a policy.yaml'], ['log']],
  ['palisade apply -f a', ['a policy.yaml'], ['agent']],
  ['palisade explain ', [], ['a policy.yaml', 'log']],
  ['palisade log --from check --fol', ['--follow'], ['--file']],
];

function holds(line: string, offered: readonly string[]): void {
  const [, wanted = [], unwanted = []] = CASES.find(([text]) => text === line) ?? [];
  for (const word of wanted) assert.ok(offered.includes(word), `${line}: no ${word} in ${offered}`);
  for (const word of unwanted) assert.ok(!offered.includes(word), `${line}: ${word} is offered`);
}

for (const shell of SHELLS) {
  test(`${shell} offers what each place of a line takes`, { skip: whyNoShell(shell) }, async () => {
    const lines = CASES.map(([line]) => line);
    const offered = offeredBy[shell](lines, { folder, script: await scriptFor(shell) });
    for (const [i, line] of lines.entries()) holds(line, offered[i] ?? []);
  });
}

test('every command, and every flag of it, is in every script', async () => {
  const log = createFakeContext();
  await runCli(['audit', 'export', '--help'], log);
  const flags = log.printed().match(/--[a-z-]+(?= |$)/gm) ?? [];
  assert.ok(flags.length > 10);
  for (const shell of SHELLS) {
    const context = createFakeContext();
    await runCli(['completion', shell], context);
    const script = context.printed();
    for (const verb of Object.keys(commandLoaders)) assert.ok(script.includes(verb), verb);
    for (const flag of flags) {
      const spelled = shell === 'fish' ? `-l ${flag.slice(2)}` : flag;
      assert.ok(script.includes(spelled), `${shell}: ${flag}`);
    }
  }
});

const RESOURCES = '/resources?kind=';
const ANSWERS = {
  [`GET ${RESOURCES}Service&limit=500`]: {
    items: [
      { name: 'orders', namespace: 'default' },
      { name: 'payments', namespace: 'shop' },
    ],
  },
  [`GET ${RESOURCES}AuthorizationPolicy&limit=500`]: {
    items: [{ name: 'allow-web', namespace: 'shop' }],
  },
  'GET /identities?current=true&limit=500': {
    items: [{ spiffeId: 'spiffe://cluster.local/ns/shop/sa/web' }],
  },
  'GET /sinks': { items: [{ name: 'siem' }, { name: '$(touch hacked)' }, { name: '-rf' }] },
  'GET /policy-sets': { items: [{ namespace: 'shop' }] },
  'GET /records?denied=true&limit=50': { items: [{ denial_id: 'dn-1' }, { denial_id: null }] },
};

/** What is asked for at each place of a line that takes a name. */
const NAMED: readonly (readonly [string, readonly string[]])[] = [
  ['palisade log --to ', ['orders', 'payments.shop']],
  ['palisade check --to pay', ['payments.shop']],
  ['palisade check --from ', ['spiffe://cluster.local/ns/shop/sa/web']],
  ['palisade identity show ', ['spiffe://cluster.local/ns/shop/sa/web']],
  ['palisade get authorizationpolicy ', ['allow-web']],
  ['palisade delete service ', ['orders', 'payments']],
  ['palisade sink test ', ['siem']],
  ['palisade explain ', ['dn-1']],
  ['palisade -n ', ['shop']],
];

async function withPlane(run: (plane: FakeControlPlane) => Promise<void>): Promise<void> {
  const plane = await startFakeControlPlane(ANSWERS);
  try {
    await run(plane);
  } finally {
    plane.close();
  }
}

async function namesFrom(dataDir: string, sort: string): Promise<string> {
  const context = createFakeContext({ env: { PALISADE_DATA: dataDir } });
  assert.equal(await runCli(['completion', 'bash', '--names', sort], context), 0);
  assert.equal(context.complained(), '');
  return context.printed();
}

test('each shell offers the names that the control plane knows', async (t) => {
  const script = readFileSync(await scriptFor('bash'), 'utf8');
  const sorts = new Set([...script.matchAll(/--names (\S+)/g)].map(([, sort = '']) => sort));
  await withPlane(async ({ dataDir }) => {
    const answers = new Map<string, string>();
    // One by one: each has its 250 ms, and all at once would take them from each other where the machine is busy.
    for (const sort of sorts) {
      const names = await namesFrom(dataDir, sort);
      answers.set(sort, names.trim().split('\n').join(' '));
    }
    fakePalisade(folder, answers);
  });
  const lines = NAMED.map(([line]) => line);
  for (const shell of SHELLS) {
    await t.test(shell, { skip: whyNoShell(shell) }, async () => {
      const offered = offeredBy[shell](lines, { folder, script: await scriptFor(shell) });
      for (const [i, [line, wanted]] of NAMED.entries()) {
        assert.deepEqual(offered[i]?.toSorted(), wanted.toSorted(), line);
      }
    });
  }
});

test('attack: a name that a shell would run is not offered', async () => {
  await withPlane(async ({ dataDir }) => assert.equal(await namesFrom(dataDir, 'sinks'), 'siem\n'));
});

test('where nobody answers, or not in time, there is nothing and no word', async () => {
  assert.equal(await namesFrom(join(folder, 'no-mesh'), 'services'), '');
  let gone = '';
  await withPlane(async ({ dataDir }) => {
    assert.equal(await namesFrom(dataDir, 'resources/horses'), '');
    gone = dataDir;
  });
  assert.equal(await namesFrom(gone, 'services'), '');
  const asked: (number | undefined)[] = [];
  const slow = {
    call: (_method: string, _path: string, options?: { readonly timeoutMs?: number }) => {
      asked.push(options?.timeoutMs);
      return Promise.reject(new Error('it did not answer in time'));
    },
  };
  assert.deepEqual(await completedNames(slow, 'services'), []);
  assert.deepEqual(asked, [250]);
});
