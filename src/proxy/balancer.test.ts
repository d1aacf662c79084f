import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseInTurn, chooseLeastRequest } from './balancer.ts';

type Host = { readonly name: string; active: number; isUp: boolean };

const host = (name: string, active = 0, isUp = true): Host => ({ name, active, isUp });
const isUp = (candidate: Host): boolean => candidate.isUp;

/** A reproducible source of numbers from 0 to 1 (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function check(hosts: readonly Host[], want: string | undefined, seeds = 200): void {
  for (let seed = 0; seed < seeds; seed++) {
    assert.equal(chooseLeastRequest(hosts, isUp, seeded(seed))?.name, want, `seed ${seed}`);
  }
}

test('least request: the one that can be, and never one that cannot', () => {
  check([], undefined);
  check([host('a')], 'a');
  check([host('a', 0, false)], undefined);
  check([host('a', 5), host('b', 1)], 'b');
  check([host('a', 0, false), host('b', 9)], 'b');
  const many = Array.from({ length: 50 }, (_, i) => host(`${i}`, 0, i === 37));
  check(many, '37');
});

test('least request: load under way stays even where some hosts are slow', () => {
  const random = seeded(7);
  const hosts = Array.from({ length: 10 }, (_, i) => host(`${i}`));
  const served = new Map<string, number>();
  for (let turn = 0; turn < 20_000; turn++) {
    const chosen = chooseLeastRequest(hosts, isUp, random);
    assert.ok(chosen !== undefined);
    chosen.active++;
    served.set(chosen.name, (served.get(chosen.name) ?? 0) + 1);
    // Host 0 answers ten times more slowly than the others.
    for (const each of hosts) {
      if (each.active > 0 && random() < (each.name === '0' ? 0.02 : 0.2)) each.active--;
    }
  }
  const slow = served.get('0') ?? 0;
  assert.ok(slow > 0 && slow < 1_000, `the slow one served ${slow} of 20,000`);
});

test('in turn: each usable one comes once a round', () => {
  const hosts = [host('a'), host('b', 0, false), host('c')];
  const names = [0, 1, 2, 3].map((turn) => chooseInTurn(hosts, isUp, turn)?.name);
  assert.deepEqual(names, ['a', 'c', 'c', 'a']);
  assert.equal(chooseInTurn([], isUp, 3), undefined);
});
