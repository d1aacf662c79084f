import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BACKDATE_MS, parseSpiffeId, requesterTag } from '#identity';
import { compileRevocations, type RevocationTarget } from '#trust';
import { type Fixture, serviceResource, startFixture } from './control-fixture.ts';
import type { IssuedIdentity } from './issuance.ts';
import type { RecentEdge } from './map.ts';
import { hits, type PreviewFacts, previewRevocation } from './revocation-preview.ts';

const NOW_MS = Date.parse('2026-03-02T10:00:00.000Z');
const iso = (agoMs: number) => new Date(NOW_MS - agoMs).toISOString();
const idOf = (name: string) => `spiffe://cluster.local/ns/shop/sa/${name}`;
const AGENT = 'spiffe://cluster.local/palisade/agent/host-1';

function issued(name: string, serial: string, over: Partial<IssuedIdentity> = {}): IssuedIdentity {
  return {
    spiffeId: idOf(name),
    serial,
    issuedAt: iso(600_000),
    expiresAt: iso(-3_000_000),
    selectors: [],
    attestation: 'process',
    allowedBy: 'shop@1',
    requestedBy: AGENT,
    certificateSha256: '',
    logNumber: 1,
    current: true,
    ...over,
  };
}

function edge(source: string, destination: string, calls: number): RecentEdge {
  return {
    source: `shop/${source}`,
    sourceId: idOf(source),
    destination: `shop/${destination}`,
    namespace: 'shop',
    calls,
    connections: 1,
    lastSeen: iso(1_000),
  };
}

/** web has two instances, of which web/1 renewed once; orders and payments one each; nobody is connected for `old`. */
const FACTS: Omit<PreviewFacts, 'target'> = {
  identities: [
    issued('web', 'b0', { issuedAt: iso(3_000_000), current: false }),
    issued('web', 'b1', { current: false }),
    issued('web', 'b2', { requestedBy: 'spiffe://cluster.local/palisade/agent/host-2' }),
    issued('orders', 'c1'),
    issued('payments', 'd1', { issuedAt: iso(30_000) }),
    issued('old', 'e1', { expiresAt: iso(1) }),
  ],
  isRevoked: () => false,
  holders: new Map([
    ['b1', 'shop/web/1'],
    ['b2', 'shop/web/2'],
    ['c1', 'shop/orders/1'],
  ]),
  edges: [
    edge('web', 'orders', 10),
    edge('web', 'payments', 7),
    edge('orders', 'payments', 30),
    edge('stranger', 'catalog', 90),
  ],
  servers: new Map(
    ['web', 'orders', 'payments'].map((one) => [`shop/${one}`, new Set([idOf(one)])]),
  ),
  nowMs: NOW_MS,
};

const identity = (name: string, issuedBefore: string | null = null): RevocationTarget => ({
  kind: 'identity',
  id: idOf(name),
  issuedBefore,
});

const cases: {
  name: string;
  target: RevocationTarget;
  facts?: Partial<PreviewFacts>;
  identities: string[];
  edges: string[];
}[] = [
  {
    name: 'an identity, with all instances and all it calls and serves',
    target: identity('orders'),
    identities: ['orders c1 shop/orders/1 ends'],
    edges: ['orders > payments 30 caller', 'web > orders 10 server'],
  },
  {
    name: 'what an identity holds now, which is renewed at once',
    target: identity('web', iso(0)),
    identities: ['web b0,b1,b2 shop/web/1,shop/web/2 renews'],
    edges: ['web > orders 10 caller', 'web > payments 7 caller'],
  },
  {
    name: 'an instant yet to come lets nobody renew before it',
    target: identity('web', iso(-60_000)),
    identities: ['web b0,b1,b2 shop/web/1,shop/web/2 ends'],
    edges: ['web > orders 10 caller', 'web > payments 7 caller'],
  },
  {
    name: 'one of two instances, whose traffic cannot be told from the other one’s',
    target: { kind: 'serial', serial: 'b1' },
    identities: ['web b1 shop/web/1 renews'],
    edges: ['web > orders 10 caller partly', 'web > payments 7 caller partly'],
  },
  {
    name: 'a certificate that was renewed since: nobody has it, nothing is cut',
    target: { kind: 'serial', serial: 'b0' },
    identities: ['web b0  renews'],
    edges: [],
  },
  {
    name: 'an agent, with what it asked for',
    target: { kind: 'agent', id: AGENT, issuedBefore: null },
    identities: ['orders c1 shop/orders/1 ends', 'web b0,b1 shop/web/1 ends', 'payments d1  ends'],
    edges: ['orders > payments 30 both', 'web > orders 10 both', 'web > payments 7 both'],
  },
  {
    name: 'everything issued before an instant, and nothing after it',
    target: { kind: 'all', issuedBefore: iso(60_000) },
    identities: ['web b0,b1,b2 shop/web/1,shop/web/2 renews', 'orders c1 shop/orders/1 renews'],
    edges: ['orders > payments 30 caller', 'web > orders 10 both', 'web > payments 7 caller'],
  },
  {
    name: 'an identity whose certificates are not known here: its traffic is',
    target: identity('stranger'),
    identities: [],
    edges: ['stranger > catalog 90 caller'],
  },
  {
    name: 'nothing of what another revocation took already',
    target: identity('orders'),
    facts: { isRevoked: ({ serial }) => serial === 'c1' },
    identities: [],
    edges: ['orders > payments 30 caller', 'web > orders 10 server'],
  },
  { name: 'a name that nobody has', target: identity('odrers'), identities: [], edges: [] },
];

for (const { name, target, facts, identities, edges } of cases) {
  test(`what a revocation hits: ${name}`, () => {
    const found = previewRevocation({ ...FACTS, ...facts, target });
    const short = (text: string | null) => text?.split('/').at(-1);
    assert.deepEqual(
      found.identities.map((one) =>
        [short(one.spiffeId), one.serials.join(), one.heldBy.join(), one.outcome].join(' '),
      ),
      identities,
    );
    assert.deepEqual(
      found.edges.map((one) =>
        `${short(one.source)} > ${short(one.destination)} ${one.calls} ${one.side} ${one.partly ? 'partly' : ''}`.trim(),
      ),
      edges,
    );
    assert.equal(found.totals.edges, edges.length);
    assert.equal(found.totals.connections, edges.length);
  });
}

test('it hits exactly the certificates that enforcement points will refuse', () => {
  // Within the second of the instant too, where certificates are rounded.
  const all = FACTS.identities.flatMap((one) => [one, { ...one, issuedAt: iso(60_400) }]);
  const targets = [...cases.map(({ target }) => target), identity('web', iso(60_000))];
  for (const target of targets) {
    const act = { kind: 'revoke', reason: '', until: null } as const;
    const entry = { hash: '', revocation: { target, act }, envelope: {} } as never;
    const check = compileRevocations([entry], 'cluster.local');
    for (const one of all) {
      const id = parseSpiffeId(one.spiffeId);
      assert.ok(id.ok);
      const notBefore = Math.floor((Date.parse(one.issuedAt) - BACKDATE_MS) / 1_000) * 1_000;
      const requester = requesterTag(one.requestedBy);
      const refused = check({ id: id.value, serial: one.serial, notBefore, requester }, NOW_MS);
      assert.equal(hits(target, one), refused !== undefined, JSON.stringify([target, one]));
    }
  }
});

test('a mesh of many is listed up to a bound, and counted whole', () => {
  const names = Array.from({ length: 600 }, (_, index) => `s${index}`);
  const found = previewRevocation({
    ...FACTS,
    target: { kind: 'all', issuedBefore: iso(0) },
    identities: names.map((name) => issued(name, name)),
    edges: names.map((name) => edge(name, 'hub', 1)),
  });
  assert.deepEqual([found.identities.length, found.edges.length], [500, 500]);
  assert.deepEqual(found.totals, { identities: 600, edges: 600, calls: 600, connections: 600 });
});

let mesh: Fixture;
before(async () => {
  mesh = await startFixture();
});
after(() => mesh.close());

test('the API tells it, changes nothing, and refuses what is no target', async () => {
  await mesh.apply('shop', { 'Service/web': serviceResource('shop', 'web') });
  const path = '/api/v1/revocations/preview';
  const web = `?kind=identity&id=${idOf('web')}`;
  const { status, json } = await mesh.call('GET', path + web);
  assert.equal(status, 200);
  assert.equal(json.what, `identity ${idOf('web')}`);
  assert.deepEqual([json.certificates, json.edges, json.revokedAlready], [0, [], false]);
  assert.ok(Date.parse(json.countedFrom) <= Date.now());
  assert.deepEqual((await mesh.call('GET', '/api/v1/revocations')).json.entries, []);
  const bad = [
    '',
    '?kind=identity',
    '?kind=identity&id=web',
    '?kind=agent&id=https://cluster.local/x',
    '?kind=serial',
    '?kind=all',
    '?kind=all&issuedBefore=soon',
    `${web}&issuedBefore=now`,
    '?kind=everything',
  ];
  for (const query of bad) {
    const answer = await mesh.call('GET', path + query);
    assert.deepEqual([answer.status, answer.json.code], [400, 'bad_request'], query);
  }
});
