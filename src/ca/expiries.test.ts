import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { ROOT_NAMESPACE } from '#resource';
import { createJoinToken, openJoinToken } from '#trust';
import { Issuance } from '#wire';
import { joinToken } from './attestors/join-token.ts';
import { openDatabase } from './database.ts';
import { type ExpirySources, expiryProblem, type IssuerLife, listExpiries } from './expiries.ts';
import { createTestMesh, enrol, TRUST_DOMAIN } from './fixtures.ts';
import { openHosts } from './hosts.ts';
import { openJoinTokenBook } from './join-token-book.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 4, 1);

function issuer(changes: Partial<IssuerLife> = {}): IssuerLife {
  const life = { startsAt: NOW, expiresAt: NOW + 90 * DAY };
  return {
    certificateDer: Buffer.from('x'),
    ...life,
    origin: 'imported',
    isActive: true,
    ...changes,
  };
}

function list(changes: Partial<ExpirySources> = {}) {
  return listExpiries({
    issuers: () => [issuer()],
    authority: () => NOW + DAY,
    jwtKeys: () => [],
    joinTokens: () => [],
    ...changes,
  });
}

test('what expires is told ahead of time, by what it takes to follow it', () => {
  const cases: [string, IssuerLife, number | undefined, RegExp][] = [
    ['imported', issuer(), 60 * DAY, /ca csr.*import-chain/],
    ['signed upstream', issuer({ origin: 'upstream' }), 67.5 * DAY, /renews itself/],
    [
      'a root of our own',
      issuer({ origin: 'own', expiresAt: NOW + 3650 * DAY }),
      3285 * DAY,
      /ca rotate/,
    ],
    ['one that is not used', issuer({ isActive: false }), undefined, /ca csr/],
  ];
  for (const [name, life, actInMs, fix] of cases) {
    const found = list({ issuers: () => [life] }).find(({ kind }) => kind === 'issuer');
    assert.equal(found?.actAt, actInMs === undefined ? undefined : NOW + actInMs, name);
    assert.match(found?.fix ?? '', fix, name);
  }
  const keys = [
    { kid: 'now', signsUntil: NOW + 12 * HOUR },
    { kid: 'next', signsUntil: NOW + 36 * HOUR },
  ];
  const tokens = [
    { id: 'ab'.repeat(16), host: 'node-7', notedAt: NOW, expiresAt: NOW + 10 * MINUTE },
  ];
  const found = list({ jwtKeys: () => keys, joinTokens: () => tokens });
  assert.deepEqual(
    found.map(({ kind, name, actAt }) => [kind, name, actAt]).filter(([kind]) => kind !== 'issuer'),
    [
      ['join_token', 'node-7 (abababab)', NOW + 9 * MINUTE],
      ['jwt_key', 'now', undefined],
      ['authority', 'palisade/ca', NOW + 18 * HOUR],
      ['jwt_key', 'next', NOW + 25 * HOUR],
    ],
  );
});

test('the authority is not ready before something that it needs expires, and says what helps', () => {
  const cases: [string, Partial<ExpirySources>, number, RegExp][] = [
    ['an issuer', {}, 90 * DAY - HOUR, /the issuer `[0-9a-f]{32}` expires at 2026-07-30.*ca csr/],
    ['its own certificate', {}, DAY - MINUTE, /own certificate/],
    [
      'the last key',
      { jwtKeys: () => [{ kid: 'k', signsUntil: NOW + 2 * HOUR }] },
      HOUR,
      /key for tokens `k`/,
    ],
  ];
  for (const [name, sources, inMs, reason] of cases) {
    const others = name === 'an issuer' ? { authority: () => NOW + 365 * DAY } : {};
    const expiries = list({ ...others, ...sources });
    assert.equal(expiryProblem(expiries, NOW + inMs - 1), undefined, name);
    assert.match(expiryProblem(expiries, NOW + inMs) ?? '', reason, name);
  }
  const ended = [{ id: 'ab'.repeat(16), host: 'node-7', notedAt: NOW, expiresAt: NOW }];
  assert.equal(expiryProblem(list({ joinTokens: () => ended }), NOW), undefined, 'of a token');
});

const mesh = createTestMesh();
const ca = await mesh.startCa();
const control = await enrol(mesh, ca.port, '/palisade/control', mesh.tokens.control);
const agent = await enrol(mesh, ca.port, '/palisade/agent/host-1', mesh.tokens.agent);
after(async () => {
  for (const { client } of [control, agent]) client.close();
  await ca.close();
  mesh.remove();
});
const listed = async () =>
  (await control.client.unary(Issuance.method.listExpiries, {})).expiries.map(({ kind, name }) => ({
    kind,
    name,
  }));

function signedToken(host: string) {
  const { nowMs } = mesh.clock;
  const about = {
    trustDomain: TRUST_DOMAIN,
    host,
    nowMs,
    ttlMs: 10 * MINUTE,
    signers: [mesh.author],
  };
  const token = createJoinToken(about);
  const opened = openJoinToken(token, ROOT_NAMESPACE, mesh.trustRoot, nowMs);
  assert.ok(opened.ok);
  const { id, expires } = opened.value;
  return { token, id, host, expiresAtMs: BigInt(Date.parse(expires)) };
}

test('the control plane is told of keys, issuers and tokens, and a token that was used is gone', async () => {
  const { token: _, ...about } = signedToken('node-7');
  await control.client.unary(Issuance.method.noteJoinToken, about);
  const kinds = (await listed()).map(({ kind }) => kind).sort();
  assert.deepEqual(kinds, ['authority', 'issuer', 'join_token', 'jwt_key']);
  assert.ok(ca.health().ready);
  const families = ca.metrics().find(({ name }) => name === 'palisade_ca_expiry_seconds');
  assert.equal(families?.samples.length, 4);
  const database = openDatabase(join(mesh.folder, 'ca.db'));
  assert.ok(openHosts(database).spend(about.id, Number(about.expiresAtMs)));
  database.close();
  assert.ok((await listed()).every(({ kind }) => kind !== 'join_token'));
});

test('SECURITY: no secret is in the list', async () => {
  const { token, ...about } = signedToken('node-8');
  await control.client.unary(Issuance.method.noteJoinToken, about);
  const text = JSON.stringify(
    (await control.client.unary(Issuance.method.listExpiries, {})).expiries,
    (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value),
  );
  const secrets = ['join-token-agent', 'join-token-control'].map((name) =>
    readFileSync(join(mesh.folder, name), 'utf8').trim(),
  );
  for (const secret of [token, about.id, ...secrets, 'PRIVATE']) assert.ok(!text.includes(secret));
});

test('attack: an agent asks, and who has the control plane tells of what is no token, and without end', async () => {
  const denied = { code: status.PERMISSION_DENIED };
  await assert.rejects(agent.client.unary(Issuance.method.listExpiries, {}), denied);
  const { token: _, ...about } = signedToken('node-9');
  await assert.rejects(agent.client.unary(Issuance.method.noteJoinToken, about), denied);
  const invalid = [
    { ...about, id: 'x' },
    { ...about, host: 'node 9' },
    { ...about, host: '' },
    { ...about, expiresAtMs: 1n },
    { ...about, expiresAtMs: about.expiresAtMs + BigInt(2 * DAY) },
  ];
  for (const request of invalid) {
    const answer = control.client.unary(Issuance.method.noteJoinToken, request);
    await assert.rejects(answer, { code: status.INVALID_ARGUMENT });
  }
  const book = openJoinTokenBook(openDatabase(':memory:'));
  const tell = (i: number) =>
    book.note({
      id: i.toString(16).padStart(32, '0'),
      host: 'x',
      expiresAt: NOW + MINUTE,
      notedAt: NOW,
    });
  assert.ok(Array.from({ length: 1_000 }, (_, i) => tell(i)).every(Boolean));
  assert.equal(tell(1_000), false);
  // Who was told of is not who may join: the token itself is looked at as ever.
  assert.equal(
    joinToken.begin({ token: about.id }, { trustRoot: mesh.trustRoot, nowMs: NOW } as never).ok,
    false,
  );
});
