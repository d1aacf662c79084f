import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createKeyPair,
  type JwtKey,
  jwtKeyOf,
  nothingRevoked,
  parseSpiffeId,
  type RevocationCheck,
  signJwtSvid,
  type WorkloadIdentity,
} from '#identity';
import { createCell } from '#lib';
import { createSilentLog } from '#telemetry';
import { createMessage, JwtSvidResponseSchema } from '#wire';
import { createJwtSource } from './jwt-source.ts';

const NOW_MS = Date.UTC(2026, 4, 1);
const id = parseSpiffeId('spiffe://example.org/ns/shop/sa/web');
assert.ok(id.ok);
const web = id.value;

function start() {
  const pair = createKeyPair();
  const jwt = jwtKeyOf(pair.publicKey);
  const key = { kid: jwt.kid, privateKey: pair.privateKey };
  const revocations = createCell<RevocationCheck>(nothingRevoked);
  const keys = createCell<{ sequence: number; keys: readonly JwtKey[] } | undefined>({
    sequence: 1,
    keys: [jwt],
  });
  let issued = 0;
  let refreshed = 0;
  const source = createJwtSource({
    agent: createCell<WorkloadIdentity | undefined>({} as WorkloadIdentity),
    authority: {
      issueJwt(_as, { audience }) {
        issued++;
        const times = { issuedAt: NOW_MS, expiresAt: NOW_MS + 300_000 };
        const token = signJwtSvid({ key, id: web, audience, ...times, jti: `${issued}` });
        const response = {
          token,
          issuedAtMs: BigInt(NOW_MS),
          expiresAtMs: BigInt(NOW_MS + 300_000),
          keysSequence: 1n,
        };
        return Promise.resolve(createMessage(JwtSvidResponseSchema, response));
      },
    },
    keys: {
      ...keys,
      refresh() {
        refreshed++;
        return Promise.resolve();
      },
      close() {
        // Nothing to close.
      },
    },
    revocations,
    clock: () => NOW_MS,
    log: createSilentLog(),
  });
  return {
    revocations,
    keys,
    issued: () => issued,
    refreshed: () => refreshed,
    fetch: (audience = 'reports') => source.fetch({ id: web, audience: [audience], selectors: [] }),
  };
}

test('a revoked token is not handed out again', async () => {
  const { fetch, issued, revocations } = start();
  await fetch();
  await fetch();
  assert.equal(issued(), 1);
  revocations.set(({ serial }) =>
    serial === '1' ? { code: 'revoked', message: 'stolen' } : undefined,
  );
  await fetch();
  await fetch();
  assert.equal(issued(), 2);
});

test('a token whose key was taken out of the document is not handed out again', async () => {
  const { fetch, issued, keys } = start();
  await fetch();
  keys.set({ sequence: 2, keys: [] });
  await fetch();
  assert.equal(issued(), 2);
});

test('attack: audiences without end do not fill the memory', async () => {
  const { fetch, issued } = start();
  const first = 'a'.repeat(1000);
  await fetch(first);
  for (let i = 0; i < 3000; i++) await fetch(`${i}`.padEnd(1000, 'x'));
  const before = issued();
  await fetch(first);
  assert.equal(issued(), before + 1, 'the oldest is forgotten');
});

test('the keys are asked for when a token is of newer ones', async () => {
  const { fetch, keys, refreshed } = start();
  await fetch();
  assert.equal(refreshed(), 0);
  keys.set(undefined);
  await fetch('other');
  assert.equal(refreshed(), 1);
});
