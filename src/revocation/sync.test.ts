import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseSpiffeId } from '#identity';
import { createSilentLog } from '#telemetry';
import {
  createPolicyKey,
  loadSigner,
  RevocationSet,
  type RevocationTarget,
  signRevocation,
  type TrustRoot,
} from '#trust';
import { createGrpcClient, createGrpcServer, type GrpcServer, Revocations } from '#wire';
import {
  createRevocationService,
  followRevocations,
  openRevocationStore,
  type RevocationStore,
} from './index.ts';

const NOW_MS = Date.now();
const folder = mkdtempSync(join(tmpdir(), 'palisade-revocation-'));
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

const key = createPolicyKey();
const signer = loadSigner(key.privateKeyPem);
const ROOT: TrustRoot = {
  version: 1,
  trustDomain: 'example.org',
  x509Roots: ['AAAA'],
  policyKeys: [{ keyId: key.keyId, publicKey: key.publicKey, name: 'ann', namespaces: ['*'] }],
  threshold: 1,
  issuanceLogKey: createPolicyKey().publicKey,
  issuedAt: new Date(NOW_MS).toISOString(),
};
const signed = new RevocationSet();

/** The author's next entry. */
function revoke(serial: string): unknown {
  assert.ok(signer.ok);
  const last = signed.last(key.keyId);
  const target: RevocationTarget = { kind: 'serial', serial };
  const envelope = signRevocation(
    {
      trustDomain: 'example.org',
      issuer: key.keyId,
      number: (last?.revocation.number ?? 0) + 1,
      parent: last?.hash ?? null,
      author: 'ann',
      time: new Date(NOW_MS).toISOString(),
      target,
      act: { kind: 'revoke', reason: 'a test', until: null },
    },
    [signer.value],
  );
  assert.ok(signed.add(envelope, ROOT).ok);
  return envelope;
}

let stores = 0;
const pathOf = (name: string) => join(folder, `${name}.jsonl`);

function openStore(name = `store-${++stores}`): RevocationStore {
  const log = createSilentLog();
  const store = openRevocationStore({ path: pathOf(name), trustRoot: () => ROOT, log });
  closers.push(store.close);
  return store;
}

function isRevoked(store: RevocationStore, serial: string): boolean {
  const id = parseSpiffeId('spiffe://example.org/ns/shop/sa/web');
  assert.ok(id.ok);
  const svid = { id: id.value, serial, notBefore: NOW_MS };
  return store.check.current()(svid, NOW_MS) !== undefined;
}

/** Serves `store` on a Unix socket. */
async function serve(store: RevocationStore, path: string): Promise<GrpcServer<true>> {
  const log = createSilentLog();
  const service = createRevocationService({ store, refuse: () => undefined, log });
  const server = createGrpcServer<true>([service]);
  rmSync(path, { force: true });
  await server.listenUnix({ path, identify: () => true });
  closers.push(server.close);
  return server;
}

function follow(store: RevocationStore, path: string) {
  const client = createGrpcClient(Revocations, { kind: 'unix', path });
  const follower = followRevocations({
    store,
    open: () => ({ stream: client.bidi(Revocations.method.sync), close: () => {} }),
    neighbour: 'test',
    maxRetryMs: 100,
    log: createSilentLog(),
  });
  closers.push(() => {
    follower.close();
    client.close();
  });
  return follower;
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!isSo()) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('a revocation floods a line of holders from either end, and what came before a connection follows', async () => {
  const [first, middle, last] = [openStore(), openStore(), openStore()];
  first.receive([revoke('a0')]);
  const [one, two] = [join(folder, 'one.sock'), join(folder, 'two.sock')];
  await serve(first, one);
  await serve(middle, two);
  follow(middle, one);
  follow(last, two);
  await until(() => isRevoked(last, 'a0'), 'the old one at the far end');
  first.receive([revoke('a1')]);
  await until(() => isRevoked(last, 'a1'), 'from the serving end');
  last.receive([revoke('a2')]);
  await until(() => isRevoked(first, 'a2'), 'from the calling end');
  assert.equal(first.summary().digest, last.summary().digest);
});

test('a holder that was away hears what it missed when it is back', async () => {
  const [source, target] = [openStore(), openStore()];
  const path = join(folder, 'away.sock');
  const server = await serve(source, path);
  const follower = follow(target, path);
  await until(() => follower.isConnected(), 'connected');
  await server.close();
  source.receive([revoke('b0')]);
  assert.equal(isRevoked(target, 'b0'), false);
  await serve(source, path);
  await until(() => isRevoked(target, 'b0'), 'heard after the reconnect');
});

test('a neighbour that sends rubbish changes nothing and is soon not listened to', async () => {
  const store = openStore();
  const path = join(folder, 'rubbish.sock');
  await serve(store, path);
  const client = createGrpcClient(Revocations, { kind: 'unix', path });
  closers.push(client.close);
  const stream = client.bidi(Revocations.method.sync);
  stream.on('error', () => {
    // It may be cut.
  });
  const rubbish = Array.from({ length: 200 }, (_, i) => Buffer.from(`{"payload":"${i}"}`));
  stream.write({ entries: rubbish } as never);
  const good = revoke('c0');
  stream.write({ entries: [Buffer.from(JSON.stringify(good))] } as never);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(store.summary().count, 0);
  stream.cancel();
  // On a stream of its own the good one is taken.
  const holds = await client.unary(Revocations.method.submit, {
    entries: [Buffer.from(JSON.stringify(good))],
  });
  assert.equal(holds.holds?.chains.length, 1);
  assert.ok(isRevoked(store, 'c0'));
});

test('what was received holds over a restart, and an edited or torn line takes only itself along', async () => {
  const store = openStore('disk');
  store.receive([revoke('d0'), revoke('d1')]);
  await store.saved();
  const lines = readFileSync(pathOf('disk'), 'utf8');
  appendFileSync(pathOf('disk'), `${lines.split('\n')[0]?.replace('"sig":"', '"sig":"A')}\n{"torn`);
  const again = openStore('disk');
  assert.ok(isRevoked(again, 'd0') && isRevoked(again, 'd1'));
  assert.equal(again.summary().count, 2);
  again.receive([revoke('d2')]);
  await again.saved();
  assert.ok(isRevoked(openStore('disk'), 'd2'), 'written after a torn line');
});
