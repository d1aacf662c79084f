import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createFakeContext } from '../../fake-context.ts';
import { runCli } from '../../program.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-test-'));
after(() => rmSync(folder, { recursive: true }));
const starter = join(folder, 'starter');

async function cli(...argv: string[]): Promise<{ status: number; text: string }> {
  const context = createFakeContext();
  const status = await runCli(['--data', join(folder, 'none'), ...argv], context);
  return { status, text: context.printed() + context.complained() };
}

function casesFile(name: string, cases: string): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    `apiVersion: palisade.dev/v1\nkind: PolicyTest\nmetadata: {name: extra}\nspec: {cases: [${cases}]}\n`,
  );
  return path;
}

test('what `init` writes passes its own tests, with every rule covered', async () => {
  assert.equal((await cli('init', starter)).status, 0);
  const { status, text } = await cli('test', starter, '--min-coverage', '100');
  assert.equal(status, 0, text);
  assert.match(text, /7 of 7 cases as expected\ncoverage: 3 of 3 rules \(100 %\)/);
});

test('a failing case exits with 1 and shows what was considered', async () => {
  const wrong = casesFile(
    'wrong.yaml',
    '{name: "a <b> & #c", from: web, to: store, port: 6379, expect: allow}',
  );
  const { status, text } = await cli('test', starter, wrong);
  assert.equal(status, 1);
  assert.match(text, /at \S+wrong\.yaml:4\n {2}verdict: expected `allow`, got `deny`/);
  assert.match(text, /rule 0: service account `default\/web` is not one of `catalog`/);
  const tap = await cli('test', starter, wrong, '--tap');
  assert.match(tap.text, /^TAP version 14\n1\.\.8\n/);
  assert.match(tap.text, /^not ok 8 - extra: a <b> & \\#c\n {2}---\n/m);
  const report = join(folder, 'report.xml');
  assert.equal((await cli('test', starter, wrong, '--junit', report)).status, 1);
  const xml = readFileSync(report, 'utf8');
  assert.match(xml, /<testsuites tests="8" failures="1">/);
  assert.match(xml, /name="a &lt;b&gt; &amp; #c"><failure message="verdict: expected/);
});

test('too little coverage exits with 1, nothing to test and broken files with 2', async () => {
  const few = casesFile('few.yaml', '{name: a, from: web, to: orders, expect: deny}');
  const policies = join(starter, 'policies');
  const low = await cli('test', policies, few, '--min-coverage', '50');
  assert.equal(low.status, 1);
  assert.match(low.text, /0 % of the rules are covered, 50 % are asked for/);
  assert.equal((await cli('test', policies)).status, 2);
  const broken = casesFile('broken.yaml', '{name: a}');
  assert.equal((await cli('test', broken)).status, 2);
});

test('JSON names verdicts, places and coverage', async () => {
  const { text } = await cli('test', starter, '-o', 'json');
  const value = JSON.parse(text);
  assert.equal(value.passed, true);
  assert.equal(value.cases[0].policy, 'default/web-calls-catalog');
  assert.match(value.cases[0].at, /shop\.yaml:9$/);
  assert.equal(value.coverage.rules.all, 3);
});
