import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideNaively } from './naive.ts';
import { compileProgram, decide } from './program.ts';
import { policy, request, rule } from './testing/policies.ts';

const OPTIONS = { defaultAction: 'deny' } as const;

/** What `act` takes of this process, in seconds of CPU: the clock would say what others do. */
function cpuSeconds(act: () => void): number {
  const before = process.cpuUsage();
  act();
  return process.cpuUsage(before).user / 1e6;
}

test('hostile: a rule of 100,000 principals compiles in seconds, and decides like any other', () => {
  const account = (i: number) => `cluster.local/ns/default/sa/s${i}`;
  const all = Array.from({ length: 100_000 }, (_, i) => account(i));
  const policies = [policy('p', 'ALLOW', [rule({ principal: all }, { path: ['/a*'] })])];
  let program = compileProgram([], OPTIONS);
  assert.ok(
    cpuSeconds(() => {
      program = compileProgram(policies, OPTIONS);
    }) < 10,
  );
  const spent = cpuSeconds(() => {
    for (let i = 0; i < 10_000; i++) {
      assert.equal(decide(program, request(`s${i * 9}`, `GET /a${i}`)).verdict, 'allow');
      assert.equal(decide(program, request(`t${i}`, `GET /a${i}`)).verdict, 'deny');
    }
  });
  assert.ok(spent < 2, `${spent} s for 20,000 decisions`);
});

test('hostile: paths of 64 KB cost no more than reading them', () => {
  const paths = Array.from({ length: 2_000 }, (_, i) => [
    `/a${i}*`,
    `/x/{*}/r${i}`,
    `*.s${i}`,
    `/{**}/t${i}`,
  ]);
  const policies = [
    policy(
      'p',
      'ALLOW',
      paths.map((some) => rule(undefined, { path: some })),
    ),
  ];
  const program = compileProgram(policies, OPTIONS);
  const hostile = [
    `/${'a'.repeat(65_000)}`,
    '/'.repeat(65_000),
    `/x${'/x'.repeat(32_000)}`,
    `/x/${'%41'.repeat(20_000)}/r7`,
    `/${'é'.repeat(65_000)}.s9`,
    `/${'{*}/'.repeat(16_000)}`,
  ];
  const wanted = hostile.map((path) =>
    decideNaively(policies, OPTIONS, request('web', `GET ${path}`)),
  );
  const spent = cpuSeconds(() => {
    for (let round = 0; round < 20; round++) {
      for (const [i, path] of hostile.entries()) {
        assert.equal(decide(program, request('web', `GET ${path}`)).verdict, wanted[i]?.verdict);
      }
    }
  });
  assert.deepEqual(
    wanted.map(({ verdict }) => verdict),
    ['deny', 'deny', 'deny', 'allow', 'allow', 'deny'],
  );
  assert.ok(spent < 3, `${spent} s for 120 decisions`);
});
