import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Question } from '#policy';
import {
  authorize,
  authorizeOutgoing,
  type Caller,
  type Enforcement,
  type Permit,
  whyUnable,
} from './authorize.ts';
import { createFakeMesh, fakePolicy, fakeSnapshot } from './fake-mesh.ts';
import { forwardConnection } from './forward.ts';

const mesh = createFakeMesh();
const identity = mesh.issue('orders');
const svid = mesh.issue('web');
const snapshot = fakeSnapshot(mesh, {
  service: 'orders',
  policies: [fakePolicy('ALLOW', 'web', { principal: ['cluster.local/ns/default/sa/web'] })],
  // oxlint-disable-next-line unicorn/no-thenable -- the snapshot's own field name
  staleness: { budgetMs: 1000, then: 'deny' },
});
const nowMs = Date.now();
const good: Enforcement = { snapshot, identity, nowMs, heardAt: nowMs, revocations: undefined };
const web: Caller = {
  kind: 'verified',
  svid: {
    id: svid.id,
    serial: svid.serial,
    notBefore: svid.notBefore,
    expiresAt: svid.expiresAt,
    leafDer: Buffer.alloc(0),
    publicKeyDer: Buffer.alloc(0),
    attestation: 'process',
  },
};

function check(
  enforcement: Partial<Enforcement>,
  caller: Caller,
  want: string,
  isUnderWay = false,
): void {
  const question: Question = {
    source: { id: caller.kind === 'verified' ? caller.svid.id : undefined, ip: '127.0.0.1' },
    connection: { tls: true, sni: undefined },
    request: { method: 'GET', host: 'orders', path: '/' },
    destination: { port: 80 },
    nowMs,
  };
  const denialId = (): string => 'id';
  const consented = new Set<string>();
  const ruling = authorize(
    { ...good, ...enforcement },
    { caller, question, isUnderWay, consented, denialId },
  );
  const said =
    ruling.kind === 'refuse' ? `${ruling.failure.kind} ${ruling.failure.detail}` : ruling.kind;
  assert.equal(said, want);
}

test('only what can be decided and is allowed gets a permit', () => {
  check({}, web, 'permit');
  check({}, { kind: 'plaintext' }, 'policy_denied no_policy_allows');
  check({}, { kind: 'unverified', code: 'untrusted' }, 'peer_unauthenticated untrusted');
  check({ snapshot: undefined }, web, 'cannot_decide no_snapshot');
  check({ identity: undefined }, web, 'cannot_decide no_identity');
  check({ nowMs: identity.expiresAt }, web, 'cannot_decide own_identity_expired');
  check({ heardAt: nowMs - 1001 }, web, 'cannot_decide policy_stale');
  check({ heardAt: undefined }, web, 'permit');
});

test('a certificate that ran out on an open connection: what is under way goes on, nothing begins', () => {
  const old: Caller = { kind: 'verified', svid: { ...web.svid, expiresAt: nowMs - 60_001 } };
  check({}, old, 'peer_unauthenticated expired');
  check({}, old, 'permit', true);
  check({}, { kind: 'verified', svid: { ...web.svid, expiresAt: nowMs - 59_999 } }, 'permit');
});

test('an outgoing call needs a snapshot and a certificate that is still good', () => {
  assert.equal(authorizeOutgoing(good).kind, 'permit');
  for (const bad of [
    { snapshot: undefined },
    { identity: undefined },
    { nowMs: identity.expiresAt },
  ]) {
    assert.equal(authorizeOutgoing({ ...good, ...bad }).kind, 'refuse');
  }
  assert.equal(whyUnable(good), undefined);
});

test('a forged permit neither compiles nor works', () => {
  // @ts-expect-error -- a Permit has a private field, so no object literal is one.
  const forged: Permit = { decision: undefined, granted: false };
  const socket = undefined as never;
  assert.doesNotThrow(() =>
    forwardConnection(forged, socket, socket, {
      onCallerBytes() {},
      onServerBytes() {},
      onServerBroke() {},
      onCallerGone() {},
    }),
  );
});
