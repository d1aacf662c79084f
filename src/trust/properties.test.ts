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
  resourcesOf,
  trustRootOf,
} from './fixtures.ts';
import {
  applyUpdate,
  canonicalJson,
  decodeAnswer,
  decodeUpdate,
  encodeAnswer,
  encodeUpdate,
  fullUpdate,
  type LookupAnswer,
  type PolicySet,
  type PolicySetUpdate,
  proveResource,
  type ResourceChange,
  verifyLookup,
} from './index.ts';
import { mutationsOf } from './mutate.ts';

const alice = createAuthor('alice', ['*']);
const root = trustRootOf([alice]);
const names = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i');
const edit = fc.record({ name: names, port: fc.option(fc.integer({ min: 0, max: 3 })) });
const history = fc.array(fc.array(edit, { maxLength: 4 }), { minLength: 1, maxLength: 7 });

test('however a history travels, whoever has its head has the same set', () => {
  fc.assert(
    fc.property(history, fc.integer({ min: 0, max: 6 }), (steps, known) => {
      const { sets, envelopes } = replay(steps);
      const head = sets.at(-1);
      assert.ok(head);
      const whole = accept(undefined, fullUpdate(head));
      assert.equal(stateOf(whole), stateOf(head));
      // Somebody who was away catches up from any commit by what changed since, or by everything.
      const behind = sets[Math.min(known, sets.length - 1)];
      assert.ok(behind);
      const commits = envelopes.slice(behind.head.number);
      if (commits.length === 0) return;
      const delta = { namespace: 'shop', commits, full: false, changes: changed(behind, head) };
      assert.equal(stateOf(accept(behind, delta)), stateOf(head));
      assert.equal(stateOf(accept(behind, { ...fullUpdate(head), commits })), stateOf(head));
    }),
    { numRuns: 60 },
  );
});

test('an update survives its own bytes', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const head = replay(steps).sets.at(-1);
      assert.ok(head);
      const decoded = decodeUpdate(encodeUpdate(fullUpdate(head)));
      assert.ok(decoded.ok);
      assert.equal(stateOf(accept(undefined, decoded.value)), stateOf(head));
    }),
    { numRuns: 30 },
  );
});

test('no single change of an update leads to another policy than the signed one', () => {
  const before = resourcesOf([resource('orders'), resource('web', { open: false })]);
  const set = accept(undefined, fullOf(commitOf(alice, undefined, before).envelope, before));
  const after = resourcesOf([resource('orders', { port: 2 }), resource('cart', ['x'])]);
  const { envelope } = commitOf(alice, set, after, { message: 'open the shop' });
  const changes = [
    ...changesOf(after).map(({ key, resource }) => ({ key, resource })),
    { key: 'Service/web', resource: undefined },
  ];
  const update: PolicySetUpdate = { namespace: 'shop', commits: [envelope], full: false, changes };
  const good = stateOf(accept(set, update));
  let refused = 0;
  for (const { where, mutant } of mutationsOf(update)) {
    const applied = applyUpdate(set, mutant as PolicySetUpdate, root, NOW_MS);
    if (applied.ok) assert.equal(stateOf(applied.value), good, where);
    else refused += 1;
  }
  assert.ok(refused > 500, `${refused}`);
});

test('no bit of a signed commit or its signature can flip', () => {
  const resources = resourcesOf([resource('orders')]);
  const { envelope } = commitOf(alice, undefined, resources);
  const [signature] = envelope.signatures;
  assert.ok(signature);
  for (const field of ['payload', 'sig'] as const) {
    const text = field === 'payload' ? envelope.payload : signature.sig;
    const bytes = Buffer.from(text, 'base64');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const base64 = flipped.toString('base64');
      const forged =
        field === 'payload'
          ? { ...envelope, payload: base64 }
          : { ...envelope, signatures: [{ ...signature, sig: base64 }] };
      const applied = applyUpdate(undefined, fullOf(forged, resources), root, NOW_MS);
      assert.equal(applied.ok, false, `${field} bit ${bit}`);
    }
  }
});

test('each resource has a proof, each other key a proof of absence, in trees of any size', () => {
  for (let size = 0; size <= 20; size++) {
    const set = setOf(size);
    for (let i = 0; i <= size; i++) {
      const present = `Service/s${String(i * 2).padStart(3, '0')}`;
      const absent = `Service/s${String(i * 2 + 1).padStart(3, '0')}`;
      if (i < size) assert.deepEqual(lookup(set, present), set.resources.get(present));
      assert.equal(lookup(set, absent), undefined);
    }
    assert.equal(lookup(set, 'Mesh/aaa'), undefined, 'before all others');
  }
});

test('a proof shows nothing else than what it was made for', () => {
  for (const [size, key] of [
    [1, 'Service/s000'],
    [7, 'Service/s004'],
    [8, 'Service/s007'],
    [5, 'Mesh/none'],
    [5, 'Service/zzz'],
    [0, 'Service/any'],
  ] as const) {
    const set = setOf(size);
    const expected = canonicalJson(set.resources.get(key) ?? null);
    const answer = proveResource(set, key);
    for (const { where, mutant } of mutationsOf(answer)) {
      if (mutant === null) continue;
      const verified = verifyLookup(mutant as LookupAnswer, question(key));
      // Signing twice counts once, and no resource may be left out as well as be undefined.
      if (verified.ok)
        assert.equal(canonicalJson(verified.value.resource ?? null), expected, where);
      if (verified.ok) assert.match(where, /resource removed|^commit.signatures = \[/, where);
    }
  }
});

test('a proof of one key is none of another, and none out of another set', () => {
  const set = setOf(9);
  const other = setOf(10);
  const answer = proveResource(set, 'Service/s004');
  assert.equal(verifyLookup(answer, question('Service/s006')).ok, false);
  const absence = proveResource(set, 'Service/s005');
  assert.equal(verifyLookup(absence, question('Service/s004')).ok, false, 'hides what there is');
  assert.equal(verifyLookup(absence, question('Service/s007')).ok, false);
  assert.equal(
    verifyLookup({ ...answer, commit: other.head.envelope }, question('Service/s004')).ok,
    false,
  );
  const hidden = { ...answer, resource: undefined };
  assert.equal(verifyLookup(hidden, question('Service/s004')).ok, false);
});

test('an answer from an older commit, or from a fork, is refused once a newer one is known', () => {
  const one = setOf(2);
  const resources = resourcesOf([resource('x')]);
  const two = accept(one, {
    ...fullOf(commitOf(alice, one, resources).envelope, resources),
  });
  const fork = accept(one, fullOf(commitOf(alice, one, new Map()).envelope, new Map()));
  const known = { number: two.head.number, hash: two.head.hash };
  const codeOf = (set: PolicySet) => {
    const verified = verifyLookup(proveResource(set, 'Service/x'), {
      ...question('Service/x'),
      known,
    });
    return verified.ok ? 'ok' : verified.error.code;
  };
  assert.equal(codeOf(two), 'ok');
  assert.equal(codeOf(one), 'version_rollback');
  assert.equal(codeOf(fork), 'fork');
});

test('a lookup is refused when its commit expired or is of another namespace', () => {
  const answer = proveResource(setOf(2), 'Service/s000');
  const later = verifyLookup(answer, { ...question('Service/s000'), nowMs: NOW_MS + 3_700_000 });
  assert.equal(later.ok ? '' : later.error.code, 'expired');
  const elsewhere = verifyLookup(answer, { ...question('Service/s000'), namespace: 'bank' });
  assert.equal(elsewhere.ok ? '' : elsewhere.error.code, 'wrong_namespace');
});

test('garbage instead of an answer is refused and never thrown', () => {
  const good = proveResource(setOf(3), 'Service/s000');
  for (const value of [
    null,
    1,
    '',
    [],
    {},
    { kind: 'inclusion' },
    { kind: 'absence', before: 1, after: 2 },
  ]) {
    const proof = verifyLookup({ ...good, proof: value }, question('Service/s000'));
    assert.equal(proof.ok ? '' : proof.error.code, 'proof_invalid');
    const commit = verifyLookup({ ...good, commit: value }, question('Service/s000'));
    assert.equal(commit.ok ? '' : commit.error.code, 'malformed');
  }
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (commit, resource, proof) => {
      assert.equal(decodeAnswer({ commit, resource, proof }).ok, false);
    }),
    { numRuns: 100 },
  );
});

function replay(steps: readonly (readonly { name: string; port: number | null }[])[]) {
  const resources = new Map<string, unknown>();
  const sets: PolicySet[] = [];
  const envelopes: unknown[] = [];
  for (const edits of steps) {
    for (const { name, port } of edits) {
      if (port === null) resources.delete(`Service/${name}`);
      else resources.set(`Service/${name}`, resource(name, { port }));
    }
    const before = sets.at(-1);
    const { envelope } = commitOf(alice, before, resources);
    envelopes.push(envelope);
    const first = { ...fullOf(envelope, resources) };
    const changes = before === undefined ? [] : changed(before, { resources });
    const delta = { namespace: 'shop', commits: [envelope], full: false, changes };
    sets.push(accept(before, before === undefined ? first : delta));
  }
  return { sets, envelopes };
}

function changed(
  from: Pick<PolicySet, 'resources'>,
  to: Pick<PolicySet, 'resources'>,
): ResourceChange[] {
  const keys = new Set([...from.resources.keys(), ...to.resources.keys()]);
  return [...keys]
    .filter((key) => textOf(from.resources.get(key)) !== textOf(to.resources.get(key)))
    .map((key) => ({ key, resource: to.resources.get(key) }));
}

function textOf(value: unknown): string {
  return value === undefined ? '' : canonicalJson(value);
}

function stateOf(set: PolicySet): string {
  const resources = [...set.resources].sort(([a], [b]) => (a < b ? -1 : 1));
  return canonicalJson([set.head.hash, set.namespace, resources]);
}

function setOf(size: number): PolicySet {
  const list = Array.from({ length: size }, (_, i) =>
    resource(`s${String(i * 2).padStart(3, '0')}`, { i }),
  );
  const resources = resourcesOf(list);
  return accept(undefined, fullOf(commitOf(alice, undefined, resources).envelope, resources));
}

function lookup(set: PolicySet, key: string): unknown {
  const decoded = decodeAnswer(encodeAnswer(proveResource(set, key)));
  assert.ok(decoded.ok);
  const verified = verifyLookup(decoded.value, question(key));
  assert.ok(verified.ok, verified.ok ? '' : verified.error.message);
  return verified.value.resource;
}

function question(key: string) {
  return { namespace: 'shop', key, trustRoot: root, nowMs: NOW_MS };
}

function accept(current: PolicySet | undefined, update: PolicySetUpdate): PolicySet {
  const applied = applyUpdate(current, update, root, NOW_MS);
  assert.ok(applied.ok, applied.ok ? '' : `${applied.error.code}: ${applied.error.message}`);
  return applied.value;
}
