import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  consistencyProof,
  EMPTY_ROOT,
  Frontier,
  inclusionProof,
  isConsistent,
  type RangeRoot,
  rootFromInclusion,
  rootOfLeaves,
} from './tree.ts';

// The test vectors of Certificate Transparency's reference implementation: eight leaves and the roots over them.
const INPUTS = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const VECTOR = INPUTS.map((hex) => leaf(Buffer.from(hex, 'hex')));

function leaf(data: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.of(0), data]), 'hex');
}

function leavesOf(count: number): string[] {
  return Array.from({ length: count }, (_, i) => leaf(Buffer.from(String(i))));
}

const over =
  (leaves: readonly string[]): RangeRoot =>
  (first, end) =>
    rootOfLeaves(leaves.slice(first, end));

test('roots are those of the published vectors, however they are computed', () => {
  const frontier = new Frontier();
  assert.equal(frontier.root(), EMPTY_ROOT);
  for (const [i, each] of VECTOR.entries()) {
    frontier.push(each);
    assert.equal(frontier.root(), ROOTS[i]);
    assert.equal(rootOfLeaves(VECTOR.slice(0, i + 1)), ROOTS[i]);
  }
});

test('the published proofs come out', () => {
  const inclusion = inclusionProof(5, 8, over(VECTOR)).map((each) => each.slice(0, 8));
  assert.deepEqual(inclusion, ['bc1a0643', 'ca854ea1', 'd37ee418']);
  const consistency = consistencyProof(6, 8, over(VECTOR)).map((each) => each.slice(0, 8));
  assert.deepEqual(consistency, ['0ebc5d34', 'ca854ea1', 'd37ee418']);
});

test('a frontier goes on from its hashes, and takes perfect subtrees whole', () => {
  const leaves = leavesOf(100);
  for (const size of [0, 1, 2, 3, 7, 8, 63, 64, 65]) {
    const begun = new Frontier();
    for (const each of leaves.slice(0, size)) begun.push(each);
    const resumed = new Frontier(size, begun.hashes());
    for (const each of leaves.slice(size)) resumed.push(each);
    assert.equal(resumed.root(), rootOfLeaves(leaves), `from ${size}`);
  }
  const whole = new Frontier();
  for (let at = 0; at < 96; at += 32) whole.pushPerfect(over(leaves)(at, at + 32), 32);
  for (const each of leaves.slice(96)) whole.push(each);
  assert.equal(whole.root(), rootOfLeaves(leaves));
  assert.throws(() => whole.pushPerfect(EMPTY_ROOT, 8));
  assert.throws(() => new Frontier(3, []));
});

test('every leaf is proved in every tree that has it, and in no other place', () => {
  const pair = fc
    .integer({ min: 1, max: 300 })
    .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.nat(size - 1)));
  const leaves = leavesOf(300);
  fc.assert(
    fc.property(pair, ([size, index, other]) => {
      const root = over(leaves)(0, size);
      const path = inclusionProof(index, size, over(leaves));
      const at = { index, size };
      assert.equal(rootFromInclusion(leaves[index] ?? '', at, path), root);
      if (other !== index) {
        assert.notEqual(rootFromInclusion(leaves[other] ?? '', at, path), root);
        assert.notEqual(rootFromInclusion(leaves[index] ?? '', { index: other, size }, path), root);
      }
      if (path.length > 0)
        assert.notEqual(rootFromInclusion(leaves[index] ?? '', at, path.slice(1)), root);
    }),
  );
});

test('every tree is proved to continue each earlier one, and no edited one', () => {
  const cases = fc
    .integer({ min: 1, max: 300 })
    .chain((size) =>
      fc.tuple(fc.constant(size), fc.integer({ min: 0, max: size }), fc.nat(size - 1)),
    );
  const leaves = leavesOf(300);
  fc.assert(
    fc.property(cases, ([size, from, edited]) => {
      const earlier = { size: from, root: from === 0 ? EMPTY_ROOT : over(leaves)(0, from) };
      const later = { size, root: over(leaves)(0, size) };
      const proof = consistencyProof(from, size, over(leaves));
      assert.ok(isConsistent(earlier, later, proof));
      if (from === 0) return;
      // A log that is rewritten before the checkpoint proves consistency with nothing that was seen.
      const forged = leaves.with(edited, leaf(Buffer.from('edited')));
      const fork = { size, root: over(forged)(0, size) };
      if (edited < from || from === size) {
        assert.ok(!isConsistent(earlier, fork, consistencyProof(from, size, over(forged))));
      }
      assert.ok(!isConsistent(earlier, fork, proof));
      assert.ok(!isConsistent(later, earlier, proof) || from === size);
      for (let cut = 0; cut < proof.length; cut++) {
        assert.ok(!isConsistent(earlier, later, proof.toSpliced(cut, 1)));
      }
      assert.ok(!isConsistent(earlier, later, [...proof, EMPTY_ROOT]));
    }),
  );
});
