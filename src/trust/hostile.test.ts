import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  changesOf,
  commitOf,
  createAuthor,
  fullOf,
  NOW_MS,
  resource,
  trustRootOf,
} from './fixtures.ts';
import {
  applyUpdate,
  canonicalJson,
  decodeUpdate,
  openTrustRoot,
  type PolicySet,
  type PolicySetUpdate,
  proveResource,
  succeedTrustRoot,
  verifyLookup,
} from './index.ts';

// A control plane that has everything ever signed, and a key of its own, and sends what it likes.
const alice = createAuthor('alice', ['*']);
const mallory = createAuthor('mallory', ['*']);
const root = trustRootOf([alice]);
const states = [['a', 'b'], ['a', 'b', 'c'], ['b', 'c'], ['b'], ['a', 'b']].map(
  (names, i) => new Map(names.map((name) => [`Service/${name}`, resource(name, { i: i >> 1 })])),
);
const signed = sign(alice);
const forged = sign(mallory);
const envelopes = [...signed, ...forged].map(({ envelope }) => envelope);
const stateOfHash = new Map(signed.map(({ hash }, i) => [hash, textOf(states[i] ?? new Map())]));

const step = fc.record({
  commits: fc.array(fc.nat(envelopes.length - 1), { minLength: 1, maxLength: 5 }),
  isChain: fc.boolean(),
  resourcesOf: fc.nat(states.length - 1),
  dropped: fc.nat(6),
  full: fc.boolean(),
});

test('whatever it sends, only signed states are enforced, complete, and never an older one', () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      let set: PolicySet | undefined;
      for (const sent of steps) {
        const applied = applyUpdate(set, updateOf(sent), root, NOW_MS);
        if (!applied.ok) continue;
        const next = applied.value;
        accepted += 1;
        assert.equal(textOf(next.resources), stateOfHash.get(next.head.hash));
        assert.ok(next.head.number >= (set?.head.number ?? 0));
        if (next.head.number === set?.head.number) assert.equal(next.head.hash, set.head.hash);
        set = next;
      }
    }),
    { numRuns: 1500 },
  );
  assert.ok(accepted > 100, `only ${accepted} updates were accepted, so little was tested`);
});

test('any JSON in place of an update, an envelope or an answer is refused, not thrown', () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  fc.assert(
    fc.property(value, value, value, (a, b, c) => {
      assert.equal(applyUpdate(undefined, a as never, root, NOW_MS).ok, false);
      const update = { namespace: 'shop', commits: [a], full: true, changes: [b] };
      assert.equal(applyUpdate(undefined, update as never, root, NOW_MS).ok, false);
      assert.equal(openTrustRoot(a).ok, false);
      assert.equal(succeedTrustRoot(root, b, NOW_MS).ok, false);
      const question = { namespace: 'shop', key: 'Service/a', trustRoot: root, nowMs: NOW_MS };
      assert.equal(verifyLookup({ commit: a, resource: b, proof: c }, question).ok, false);
      const { commit } = proveResource(setOfFirst(), 'Service/a');
      assert.equal(verifyLookup({ commit, resource: b, proof: c }, question).ok, false);
    }),
    { numRuns: 300 },
  );
});

test('any bytes in place of an update are refused, not thrown', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(bytes, bytes, (commit, resource) => {
      const encoded = { namespace: 'shop', full: true, commits: [commit], changes: [] };
      assert.equal(decodeUpdate(encoded).ok, false);
      const changes = [{ key: 'Service/a', resource }];
      const decoded = decodeUpdate({ namespace: 'shop', full: true, commits: [], changes });
      // A few bytes can be canonical JSON, such as a digit; a set they are not.
      if (decoded.ok) assert.equal(applyUpdate(undefined, decoded.value, root, NOW_MS).ok, false);
    }),
    { numRuns: 500 },
  );
});

function sign(author: typeof alice) {
  const made: ReturnType<typeof commitOf>[] = [];
  for (const resources of states) {
    const last = made.at(-1);
    const parent = last && { ...last, number: last.commit.number };
    made.push(commitOf(author, parent, resources));
  }
  return made;
}

function updateOf(sent: {
  commits: readonly number[];
  isChain: boolean;
  resourcesOf: number;
  dropped: number;
  full: boolean;
}): PolicySetUpdate {
  const [start = 0] = sent.commits;
  // Honest orders are rare among random ones, so half of the updates are runs of consecutive commits.
  const indexes = sent.isChain
    ? sent.commits.map((_, i) => (start + i) % envelopes.length)
    : sent.commits;
  const source = sent.isChain ? (indexes.at(-1) ?? 0) % states.length : sent.resourcesOf;
  const changes = changesOf(states[source] ?? new Map()).toSpliced(sent.dropped, 1);
  const gone = ['a', 'b', 'c']
    .map((name) => `Service/${name}`)
    .filter((key) => !states[source]?.has(key))
    .map((key) => ({ key, resource: undefined }));
  return {
    namespace: 'shop',
    commits: indexes.map((index) => envelopes[index]),
    full: sent.full,
    changes: sent.full ? changes : [...changes, ...gone],
  };
}

function setOfFirst(): PolicySet {
  const [first] = signed;
  const applied = applyUpdate(
    undefined,
    fullOf(first?.envelope, states[0] ?? new Map()),
    root,
    NOW_MS,
  );
  assert.ok(applied.ok);
  return applied.value;
}

function textOf(resources: ReadonlyMap<string, unknown>): string {
  return canonicalJson([...resources].sort(([a], [b]) => (a < b ? -1 : 1)));
}
