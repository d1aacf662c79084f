import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  countersign,
  type PolicySet,
  type PolicySetUpdate,
  type TrustErrorCode,
} from './index.ts';

const alice = createAuthor('alice', ['*']);
const bob = createAuthor('bob', ['shop']);
const carol = createAuthor('carol', ['bank']);
const stranger = createAuthor('stranger', ['*']);
const root = trustRootOf([alice, bob, carol]);
const strict = trustRootOf([alice, createAuthor('anna', ['*']), bob, carol], { threshold: 2 });

const first = resourcesOf([resource('orders', { port: 1 }), resource('web')]);
const second = new Map(first).set('Service/cart', resource('cart'));
const third = resourcesOf([resource('orders', { port: 2 }), resource('cart')]);

const one = commitOf(alice, undefined, first);
const setOne = accept(undefined, fullOf(one.envelope, first));
const two = commitOf(alice, setOne, second);
const toTwo: PolicySetUpdate = {
  namespace: 'shop',
  commits: [two.envelope],
  full: false,
  changes: [{ key: 'Service/cart', resource: resource('cart') }],
};
const setTwo = accept(setOne, toTwo);
const three = commitOf(bob, setTwo, third);
const toThree: PolicySetUpdate = {
  namespace: 'shop',
  commits: [two.envelope, three.envelope],
  full: false,
  changes: [
    { key: 'Service/cart', resource: resource('cart') },
    { key: 'Service/orders', resource: resource('orders', { port: 2 }) },
    { key: 'Service/web', resource: undefined },
  ],
};
const setThree = accept(setOne, toThree);

test('an honest update is applied, whichever way it travels', () => {
  assert.deepEqual([...setTwo.resources.keys()].sort(), [...second.keys()].sort());
  assert.deepEqual([...setThree.resources].sort(), [...third].sort());
  assert.equal(setThree.head.number, 3);
  assert.equal(setThree.head.hash, three.hash);
  const caughtUp = accept(setTwo, { ...toThree, commits: [three.envelope] });
  assert.equal(caughtUp.head.hash, three.hash);
  const whole = { ...fullOf(three.envelope, third), commits: [two.envelope, three.envelope] };
  assert.equal(accept(setOne, whole).head.hash, three.hash);
  assert.equal(
    accept(setTwo, whole).head.hash,
    three.hash,
    'a commit known already may come again',
  );
});

test('the head that is enforced already changes nothing, whatever came with it', () => {
  assert.equal(accept(setTwo, { ...toTwo, changes: [] }), setTwo);
  assert.equal(accept(setTwo, fullOf(two.envelope, first)), setTwo);
});

test('edited: a resource that differs from the signed one', () => {
  check('root_mismatch', setOne, withChange(toTwo, resource('cart', { open: true })));
  check(
    'root_mismatch',
    undefined,
    fullOf(one.envelope, resourcesOf([resource('orders', { port: 9 }), resource('web')])),
  );
});

test('dropped: a change or a resource left out', () => {
  check('root_mismatch', setOne, { ...toTwo, changes: [] });
  check('root_mismatch', undefined, fullOf(one.envelope, resourcesOf([resource('web')])));
});

test('added: a resource nobody signed', () => {
  check('root_mismatch', undefined, fullOf(one.envelope, second));
});

test('mixed: resources of another commit or namespace', () => {
  check('root_mismatch', undefined, fullOf(three.envelope, second));
  const foreign = resource('cart', {}, 'bank');
  check('wrong_namespace', setOne, withChange(toTwo, foreign));
  check('malformed', setOne, withChange(toTwo, resource('basket')));
  check('malformed', setOne, withChange(toTwo, resource('cart', {}, 'shop', 'Mesh')));
});

test('mixed: a commit of another namespace', () => {
  const bank = resourcesOf([resource('vault', {}, 'bank')]);
  const elsewhere = commitOf(alice, undefined, bank, { namespace: 'bank' });
  check('wrong_namespace', undefined, fullOf(elsewhere.envelope, bank));
  check('wrong_namespace', setOne, { ...fullOf(elsewhere.envelope, bank), namespace: 'bank' });
});

test('mixed: a commit of another trust domain signed with the same key', () => {
  const staging = commitOf(alice, undefined, first, { trustDomain: 'staging.example.org' });
  check('wrong_trust_domain', undefined, fullOf(staging.envelope, first));
});

test('reordered: commits in another order than their numbers', () => {
  check('gap', setOne, { ...toThree, commits: [three.envelope, two.envelope] });
  check('gap', setOne, { ...toThree, commits: [two.envelope, two.envelope] });
});

test('replayed: an older commit, validly signed then', () => {
  check('version_rollback', setThree, toTwo);
  check('version_rollback', setThree, fullOf(one.envelope, first));
});

test('forked: another history, validly signed too', () => {
  const other = commitOf(bob, setOne, third);
  const fork = fullOf(other.envelope, third);
  check('fork', setTwo, fork);
  const otherSet = accept(undefined, fork);
  const onTop = commitOf(bob, otherSet, second);
  check('fork', setTwo, { ...fork, commits: [onTop.envelope], changes: changesOf(second) });
  check('fork', setOne, { ...toThree, commits: [two.envelope, onTop.envelope] });
});

test('skipped: a head without the commits that lead to it', () => {
  check('gap', setOne, { ...toThree, commits: [three.envelope] });
  check('gap', setOne, fullOf(three.envelope, third));
  check('gap', undefined, toTwo);
});

test('unsigned: no signature, a foreign key, a broken one', () => {
  check('signature_threshold', setOne, withHead(toTwo, { ...two.envelope, signatures: [] }));
  check(
    'signature_threshold',
    setOne,
    withHead(toTwo, commitOf(stranger, setOne, second).envelope),
  );
  const [signature] = two.envelope.signatures;
  assert.ok(signature);
  const posing = { keyid: bob.entry.keyId, sig: signature.sig };
  check('signature_threshold', setOne, withHead(toTwo, { ...two.envelope, signatures: [posing] }));
  const moved = { ...two.envelope, signatures: one.envelope.signatures };
  check('signature_threshold', setOne, withHead(toTwo, moved));
});

test('not allowed: a key for another namespace', () => {
  check('key_not_allowed', setOne, withHead(toTwo, commitOf(carol, setOne, second).envelope));
});

test('threshold: one signer counts once, however often and under whatever key it signs', () => {
  const single = withHead(toTwo, commitOf(alice, setOne, second).envelope);
  check('signature_threshold', setOne, single, { trustRoot: strict });
  const { signatures } = two.envelope;
  const twice = { ...two.envelope, signatures: [...signatures, ...signatures] };
  check('signature_threshold', setOne, withHead(toTwo, twice), { trustRoot: strict });
  const withCarol = countersign(two.envelope, carol.signer);
  check('key_not_allowed', setOne, withHead(toTwo, withCarol), { trustRoot: strict });
  const withBob = countersign(two.envelope, bob.signer);
  assert.equal(applyUpdate(setOne, withHead(toTwo, withBob), strict, NOW_MS).ok, true);
});

test('expired: a set never renewed is refused when it arrives, a renewed one is not', () => {
  const inAnHour = NOW_MS + 3_600_000;
  check('expired', undefined, fullOf(one.envelope, first), { nowMs: inAnHour + 60_000 });
  assert.equal(applyUpdate(setOne, toTwo, root, inAnHour + 59_999).ok, true, 'within the skew');
  const renewal = commitOf(alice, setTwo, second, { nowMs: inAnHour });
  const renewed = { ...toTwo, commits: [two.envelope, renewal.envelope] };
  assert.equal(applyUpdate(setOne, renewed, root, inAnHour + 120_000).ok, true);
});

test('a key that was withdrawn signs nothing new, and history under a good head still leads there', () => {
  const without = trustRootOf([bob]);
  check('signature_threshold', setOne, toTwo, { trustRoot: without });
  assert.equal(applyUpdate(setOne, toThree, without, NOW_MS).ok, true);
});

test('garbage in any place is refused and never thrown', () => {
  const garbage = [null, undefined, 1, 'x', [], {}, { payload: 'e30=' }, new Uint8Array(3)];
  for (const value of garbage) {
    check('malformed', setOne, { ...toTwo, commits: [value] });
    if (value !== undefined) check('malformed', setOne, withChange(toTwo, value));
    check('malformed', setOne, { ...toTwo, changes: [value] as never });
    check('malformed', setOne, value as never);
  }
  check('malformed', setOne, { ...toTwo, commits: [] });
  check('malformed', setOne, { ...toTwo, changes: [...toTwo.changes, ...toTwo.changes] });
  check('malformed', setOne, withChange(toTwo, { ...resource('cart'), at: Number.NaN }));
  check('malformed', setOne, { ...toTwo, changes: [{ key: '__proto__', resource: {} }] });
});

test('huge: more commits, resources, characters or levels than anybody needs', () => {
  check('too_large', setOne, { ...toTwo, commits: Array(10_001).fill(two.envelope) });
  const many = Array.from({ length: 100_001 }, (_, i) => ({ key: `Service/s${i}`, resource: 1 }));
  check('too_large', undefined, { ...toTwo, full: true, changes: many });
  check('too_large', setOne, withChange(toTwo, resource('cart', 'x'.repeat(1_100_000))));
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  check('malformed', setOne, withChange(toTwo, resource('cart', deep)));
  const fat = { ...two.envelope, payload: 'A'.repeat(4_000_000) };
  check('too_large', setOne, withHead(toTwo, fat));
  const signatures = Array(33).fill(two.envelope.signatures[0]);
  check('too_large', setOne, withHead(toTwo, { ...two.envelope, signatures }));
});

test('another payload type, spelling or reading of the same payload', () => {
  const asRoot = { ...two.envelope, payloadType: 'application/vnd.palisade.trust-root+json' };
  check('malformed', setOne, withHead(toTwo, asRoot));
  const text = Buffer.from(two.envelope.payload, 'base64').toString();
  const spellings = [
    ` ${text}`,
    `${text}\n`,
    `\uFEFF${text}`,
    text.replace('"number":2', '"number":2.0'),
    text.replace('"number":2', '"number":1,"number":2'),
    text.replace('{', '{"zone":"x",'),
    text.replace(/"root":"[0-9a-f]+"/, '"root":null'),
    text.replace('"number":2', '"number":-0'),
    text.replace('"number":2', '"number":9007199254740993'),
    text.slice(0, -1),
  ];
  for (const spelling of spellings) {
    assert.notEqual(spelling, text);
    const payload = Buffer.from(spelling).toString('base64');
    check('malformed', setOne, withHead(toTwo, { ...two.envelope, payload }));
  }
  const unpadded = { ...two.envelope, payload: `${two.envelope.payload}=` };
  check('malformed', setOne, withHead(toTwo, unpadded));
  check('malformed', setOne, withHead(toTwo, { ...two.envelope, comment: 'x' }));
});

test('what is in a set cannot be changed through what it was made of', () => {
  const mine = resource('orders', { port: 1 });
  const resources = resourcesOf([mine]);
  const set = accept(undefined, fullOf(commitOf(alice, undefined, resources).envelope, resources));
  mine.metadata.name = 'other';
  assert.deepEqual(set.resources.get('Service/orders'), resource('orders', { port: 1 }));
});

function accept(current: PolicySet | undefined, update: PolicySetUpdate): PolicySet {
  const applied = applyUpdate(current, update, root, NOW_MS);
  assert.ok(applied.ok, applied.ok ? '' : `${applied.error.code}: ${applied.error.message}`);
  return applied.value;
}

function check(
  code: TrustErrorCode,
  current: PolicySet | undefined,
  update: PolicySetUpdate,
  more: { trustRoot?: typeof root; nowMs?: number } = {},
): void {
  const applied = applyUpdate(current, update, more.trustRoot ?? root, more.nowMs ?? NOW_MS);
  assert.equal(applied.ok ? 'applied' : applied.error.code, code);
}

function withChange(update: PolicySetUpdate, changed: unknown): PolicySetUpdate {
  return { ...update, changes: [{ key: 'Service/cart', resource: changed }] };
}

function withHead(update: PolicySetUpdate, envelope: unknown): PolicySetUpdate {
  return { ...update, commits: [...update.commits.slice(0, -1), envelope] };
}
