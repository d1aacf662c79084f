import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSpiffeId, type Revocable, requesterTag } from '#identity';
import { type Author, createAuthor, NOW_MS, trustRootOf } from './fixtures.ts';
import {
  activeRevocations,
  compileRevocations,
  countersign,
  type Revocation,
  RevocationSet,
  type RevocationTarget,
  signRevocation,
} from './index.ts';

const ann = createAuthor('ann', ['*']);
const bob = createAuthor('bob', ['*']);
const shopKeeper = createAuthor('shop keeper', ['shop']);
const stranger = createAuthor('stranger', ['*']);
const authority = createAuthor('authority', []);
const ROOT = trustRootOf([ann, bob, shopKeeper], {
  issuanceLogKey: authority.entry.publicKey,
});
const WEB = 'spiffe://example.org/ns/shop/sa/web';
const AGENT = 'spiffe://example.org/palisade/agent/host-1';
const iso = (ms: number) => new Date(ms).toISOString();
const identity = (id: string, issuedBefore: string | null = null): RevocationTarget => ({
  kind: 'identity',
  id,
  issuedBefore,
});
const REVOKE = { kind: 'revoke', reason: '', until: null } as const;

function entry(by: Author, target: RevocationTarget, more: Partial<Revocation> = {}): Revocation {
  return {
    trustDomain: 'example.org',
    issuer: by.signer.keyId,
    number: 1,
    parent: null,
    author: by.entry.name,
    time: iso(NOW_MS),
    target,
    act: REVOKE,
    ...more,
  };
}

function svid(id: string, more: Partial<Revocable> = {}): Revocable {
  const parsed = parseSpiffeId(id);
  assert.ok(parsed.ok);
  return { id: parsed.value, serial: 'ab12', notBefore: NOW_MS, ...more };
}

function setOf(...envelopes: readonly unknown[]): RevocationSet {
  const set = new RevocationSet();
  for (const envelope of envelopes) assert.ok(set.add(envelope, ROOT).ok);
  return set;
}

test('who may revoke what, and who may not', () => {
  const cases: [string, Author, RevocationTarget, string | undefined][] = [
    ['an author of all, an identity', ann, identity(WEB), undefined],
    ['an author of all, everything', ann, { kind: 'all', issuedBefore: iso(NOW_MS) }, undefined],
    ['the authority, a serial', authority, { kind: 'serial', serial: 'ab12' }, undefined],
    ['an author of the namespace', shopKeeper, identity(WEB), undefined],
    [
      'an author of another namespace',
      shopKeeper,
      identity('spiffe://example.org/ns/bank/sa/vault'),
      'signature_threshold',
    ],
    [
      'a namespace author, a serial',
      shopKeeper,
      { kind: 'serial', serial: 'ab12' },
      'signature_threshold',
    ],
    [
      'a namespace author, an agent',
      shopKeeper,
      { kind: 'agent', id: AGENT, issuedBefore: null },
      'signature_threshold',
    ],
    ['a stranger', stranger, identity(WEB), 'signature_threshold'],
  ];
  for (const [name, by, target, code] of cases) {
    const added = new RevocationSet().add(signRevocation(entry(by, target), [by.signer]), ROOT);
    assert.equal(added.ok ? undefined : added.error.code, code, name);
  }
});

test('an entry signed by one key in the chain of another is refused', () => {
  const forged = signRevocation(entry(ann, identity(WEB)), [bob.signer]);
  const added = new RevocationSet().add(forged, ROOT);
  assert.equal(added.ok ? '' : added.error.code, 'signature_threshold');
});

test('an entry of another mesh, or edited on the way, is refused', () => {
  const foreign = signRevocation(entry(ann, identity(WEB), { trustDomain: 'other.org' }), [
    ann.signer,
  ]);
  const added = new RevocationSet().add(foreign, ROOT);
  assert.equal(added.ok ? '' : added.error.code, 'wrong_trust_domain');
  const good = signRevocation(entry(ann, identity(WEB)), [ann.signer]);
  const text = Buffer.from(good.payload, 'base64').toString().replace('/web', '/wev');
  const edited = { ...good, payload: Buffer.from(text).toString('base64') };
  const again = new RevocationSet().add(edited, ROOT);
  assert.equal(again.ok ? '' : again.error.code, 'signature_threshold');
});

test('nothing that is not an entry is taken, and nothing throws', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      assert.equal(new RevocationSet().add(value, ROOT).ok, false);
    }),
  );
});

test('what each target hits', () => {
  const later = NOW_MS + 3_600_000;
  const cases: [RevocationTarget, Revocable, boolean][] = [
    [identity(WEB), svid(WEB), true],
    [identity(WEB), svid(WEB, { notBefore: later }), true],
    [identity(WEB), svid(`${WEB}2`), false],
    [identity(WEB, iso(NOW_MS + 60_001)), svid(WEB), true],
    [identity(WEB, iso(NOW_MS + 60_000)), svid(WEB), false],
    [{ kind: 'serial', serial: 'ab12' }, svid(WEB), true],
    [{ kind: 'serial', serial: 'ab13' }, svid(WEB), false],
    // An intermediate on its path: a stolen one vouches for any name.
    [{ kind: 'serial', serial: 'ab13' }, svid(WEB, { signers: ['ab14', 'ab13'] }), true],
    [{ kind: 'serial', serial: 'ab15' }, svid(WEB, { signers: ['ab14', 'ab13'] }), false],
    [{ kind: 'agent', id: AGENT, issuedBefore: null }, svid(AGENT), true],
    [
      { kind: 'agent', id: AGENT, issuedBefore: null },
      svid(WEB, { requester: requesterTag(AGENT) }),
      true,
    ],
    [
      { kind: 'agent', id: AGENT, issuedBefore: null },
      svid(WEB, { requester: requesterTag(`${AGENT}2`) }),
      false,
    ],
    [{ kind: 'all', issuedBefore: iso(later) }, svid(WEB), true],
    [{ kind: 'all', issuedBefore: iso(NOW_MS) }, svid(WEB), false],
    [{ kind: 'all', issuedBefore: iso(later) }, svid('spiffe://other.org/ns/shop/sa/web'), false],
  ];
  for (const [target, credential, hit] of cases) {
    const set = setOf(signRevocation(entry(ann, target), [ann.signer]));
    const check = compileRevocations(set.all(), 'example.org');
    assert.equal(check(credential, NOW_MS) !== undefined, hit, JSON.stringify(target));
  }
});

test('a revocation with an end ends by itself', () => {
  const act = { ...REVOKE, until: iso(NOW_MS + 1000) };
  const set = setOf(signRevocation(entry(ann, identity(WEB), { act }), [ann.signer]));
  const check = compileRevocations(set.all(), 'example.org');
  assert.match(check(svid(WEB), NOW_MS + 999)?.message ?? '', /revoked by ann/);
  assert.equal(check(svid(WEB), NOW_MS + 1000), undefined);
});

test('lifting takes what a change of policy takes, and the entry it names', () => {
  const revoked = signRevocation(entry(ann, identity(WEB)), [ann.signer]);
  const set = setOf(revoked);
  const [held] = set.all();
  assert.ok(held);
  const act = { kind: 'lift', reason: '', revocation: held.hash } as const;
  const lift = (by: Author, target: RevocationTarget) =>
    signRevocation(entry(by, target, { number: 2, parent: held.hash, act }), [by.signer]);
  const refused = set.add(lift(authority, identity(WEB)), ROOT);
  assert.equal(refused.ok ? '' : refused.error.code, 'signature_threshold');
  // A lift for a namespace's own identity that names somebody else's entry lifts nothing.
  assert.ok(set.add(lift(shopKeeper, identity(`${WEB}2`)), ROOT).ok);
  assert.equal(activeRevocations(set.all()).length, 1);
  assert.ok(set.add(lift(ann, identity(WEB)), ROOT).ok);
  assert.equal(activeRevocations(set.all()).length, 0);
});

test('with a threshold of two, one author revokes and two lift', () => {
  const root = { ...ROOT, threshold: 2 };
  const set = new RevocationSet();
  assert.ok(set.add(signRevocation(entry(ann, identity(WEB)), [ann.signer]), root).ok);
  const [held] = set.all();
  assert.ok(held);
  const act = { kind: 'lift', reason: '', revocation: held.hash } as const;
  const half = signRevocation(entry(ann, identity(WEB), { number: 2, parent: held.hash, act }), [
    ann.signer,
  ]);
  assert.equal(set.add(half, root).ok, false);
  assert.ok(set.add(countersign(half, bob.signer), root).ok);
  assert.equal(activeRevocations(set.all()).length, 0);
});

/** A chain of `count` entries by one author. */
function chainOf(by: Author, count: number) {
  const set = new RevocationSet();
  const envelopes = [];
  for (let number = 1; number <= count; number++) {
    const parent = set.last(by.signer.keyId)?.hash ?? null;
    const target: RevocationTarget = { kind: 'serial', serial: `${number}` };
    const envelope = signRevocation(entry(by, target, { number, parent }), [by.signer]);
    assert.ok(set.add(envelope, ROOT).ok);
    envelopes.push(envelope);
  }
  return envelopes;
}

test('in any order and however often entries come, holders end up with the same', () => {
  const all = [...chainOf(ann, 6), ...chainOf(authority, 4)];
  const whole = setOf(...all);
  fc.assert(
    fc.property(
      fc.shuffledSubarray(all, { minLength: all.length }),
      fc.array(fc.nat(all.length - 1)),
      (order, again) => {
        const set = setOf(...order, ...again.map((index) => all[index]));
        assert.equal(set.digest(), whole.digest());
        assert.deepEqual(set.problems(), []);
      },
    ),
    { numRuns: 20 },
  );
});

test('two holders that tell each other what the other lacks hold the union', () => {
  const all = [...chainOf(ann, 5), ...chainOf(authority, 3)];
  fc.assert(
    fc.property(fc.subarray(all), fc.subarray(all), (some, others) => {
      const [a, b] = [setOf(...some), setOf(...others)];
      const [forA, forB] = [b.lackedBy(a.states()), a.lackedBy(b.states())];
      for (const { envelope } of forA) assert.ok(a.add(envelope, ROOT).ok);
      for (const { envelope } of forB) assert.ok(b.add(envelope, ROOT).ok);
      assert.equal(a.digest(), b.digest());
      assert.ok(a.covers(b.states()) && b.covers(a.states()));
      assert.deepEqual(a.lackedBy(b.states()), []);
    }),
    { numRuns: 30 },
  );
});

test('what was left out of a chain shows, and so does a fork', () => {
  const [one, two, three] = chainOf(ann, 3);
  assert.deepEqual(setOf(one, three).problems(), [
    { kind: 'gap', issuer: ann.signer.keyId, number: 2 },
  ]);
  const [held] = setOf(one).all();
  const other = signRevocation(
    entry(ann, { kind: 'serial', serial: 'other' }, { number: 2, parent: held?.hash ?? null }),
    [ann.signer],
  );
  const forked = setOf(one, two, other);
  assert.equal(forked.problems()[0]?.kind, 'fork');
  // Both branches count: whoever forks a chain takes nothing back.
  assert.equal(activeRevocations(forked.all()).length, 3);
});
