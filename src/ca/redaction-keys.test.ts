import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { Issuance } from '#wire';
import { createTestMesh, enrol } from './fixtures.ts';
import { openRedactionKeys } from './redaction-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-redaction-'));
after(() => rmSync(folder, { recursive: true }));
const NOON = Date.UTC(2026, 0, 31, 12);
const HOUR = 3_600_000;

function start(name: string, nowMs = NOON, trustDomain = 'example.org', passphrase?: string) {
  const path = join(folder, name);
  const keys = openRedactionKeys({ path, trustDomain, passphrase, clock: () => nowMs });
  return keys.current().map(({ period, key }) => `${period} ${Buffer.from(key).toString('hex')}`);
}

test('a key a day, the same after a restart, the next one two hours ahead', () => {
  const [noon, ...more] = start('a');
  assert.match(noon ?? '', /^2026-01-31 [0-9a-f]{64}$/);
  assert.deepEqual(more, []);
  assert.deepEqual(start('a'), [noon]);
  const late = start('a', NOON + 10 * HOUR);
  assert.equal(late[0], noon);
  assert.match(late[1] ?? '', /^2026-02-01 /);
  assert.deepEqual(start('a', NOON + 12 * HOUR), [late[1]]);
  const hex = new Set(
    [noon, late[1], start('b')[0], start('a', NOON, 'other.org')[0]].map((each) => each?.slice(11)),
  );
  assert.equal(hex.size, 4, 'by day, by secret and by trust domain');
});

test('the secret is sealed like the others, 0600, and a damaged one is named', () => {
  const [open] = start('sealed');
  assert.deepEqual(start('sealed', NOON, 'example.org', 'a passphrase'), [open], 'sealed in place');
  const path = join(folder, 'sealed');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).sealed, 'scrypt-aes-256-gcm');
  assert.throws(() => start('sealed'), /is sealed/);
  writeFileSync(path, 'short');
  assert.throws(() => start('sealed'), /damaged/);
});

test('attack: who owns the control plane, or has a workload identity, asks the authority for the keys', async () => {
  const mesh = createTestMesh();
  const ca = await mesh.startCa();
  const asks = async (path: string, token: string) => {
    const one = await enrol(mesh, ca.port, path, token);
    try {
      return await one.client.unary(Issuance.method.fetchRedactionKeys, {});
    } finally {
      one.client.close();
    }
  };
  const { keys } = await asks('/palisade/agent/host', mesh.tokens.agent);
  assert.equal(keys[0]?.key.length, 32);
  await assert.rejects(asks('/palisade/control', mesh.tokens.control), {
    code: status.PERMISSION_DENIED,
  });
  await ca.close();
  mesh.remove();
});
