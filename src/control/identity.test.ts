import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  derToPem,
  nothingRevoked,
  parseBundle,
  parseSpiffeId,
  type RevocationCheck,
} from '#identity';
import { createCell } from '#lib';
import { createLog } from '#telemetry';
import { createFakeAuthority, type FakeAuthority } from './fake-authority.ts';
import { enrolControl, type IdentityOptions } from './identity.ts';

const folder = mkdtempSync(join(tmpdir(), 'palisade-identity-'));
after(() => rmSync(folder, { recursive: true }));
const joinTokenFile = join(folder, 'join-token');
writeFileSync(joinTokenFile, 'the-secret-of-the-join-token');

function idOf(path: string) {
  const id = parseSpiffeId(`spiffe://cluster.local${path}`);
  assert.ok(id.ok);
  return id.value;
}

/** Options under which only `authority` is believed, and what is logged meanwhile. */
function optionsOf(authority: FakeAuthority, caAddress: string, onLine = (_line: string) => {}) {
  const bundle = parseBundle(authority.trustDomain, derToPem(authority.rootDer));
  assert.ok(bundle.ok);
  const lines: string[] = [];
  const write = (line: string): void => {
    lines.push(line);
    onLine(line);
  };
  const options: IdentityOptions = {
    id: idOf('/palisade/control'),
    caId: idOf('/palisade/ca'),
    caAddress,
    joinToken: () => readFileSync(joinTokenFile, 'utf8').trim(),
    trust: { bundle: bundle.value },
    revocations: createCell<RevocationCheck>(nothingRevoked),
    clock: Date.now,
    log: createLog({ name: 'test', destination: { write } }),
  };
  return { options, lines };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

test('it waits for the authority, says so, and keeps the join token to itself', async () => {
  const authority = createFakeAuthority();
  const port = await freePort();
  let started: Promise<string> | undefined;
  const { options, lines } = optionsOf(authority, `127.0.0.1:${port}`, (line) => {
    if (line.includes('could not enrol')) started ??= authority.listen(port);
  });
  const identity = await enrolControl(options);
  assert.ok(started !== undefined && lines.length >= 2);
  assert.ok(!lines.join('').includes('the-secret-of-the-join-token'));
  assert.ok(identity.expiresAt() > Date.now());
  identity.close();
  await authority.close();
});

test('it renews itself in good time, with another key', async () => {
  const authority = createFakeAuthority('cluster.local', 10_000);
  const { options } = optionsOf(authority, await authority.listen());
  const identity = await enrolControl(options);
  const before = identity.material();
  const renewed = await new Promise((resolve) => identity.onRenewed(resolve));
  assert.equal(renewed, identity.material());
  assert.notEqual(identity.material().privateKeyPem, before.privateKeyPem);
  identity.close();
  await authority.close();
});

test('attack: another authority answers at the address', async () => {
  const [pinned, foreign] = [createFakeAuthority(), createFakeAuthority()];
  const address = await foreign.listen();
  const ended = new AbortController();
  const { options, lines } = optionsOf(pinned, address, () => ended.abort());
  await assert.rejects(enrolControl({ ...options, signal: ended.signal }), /closed while waiting/);
  assert.match(lines.join(''), /could not enrol/);
  await foreign.close();
});
