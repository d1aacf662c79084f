import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createKeyPair, createRoot, createSigningKey, derToPem, parseTrustDomain } from '#identity';
import {
  createGrpcClient,
  createGrpcServer,
  createMessage,
  Host,
  WhoAmIResponseSchema,
} from './index.ts';

test('each connection keeps its own peer, also when calls interleave', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-wire-'));
  const path = join(folder, 'grpc.sock');
  let connections = 0;
  const server = createGrpcServer<number>([
    {
      service: Host,
      implementation: {
        whoAmI: (call: { getPeer: () => string }, done: (error: null, value: unknown) => void) => {
          const peer = server.peer(call);
          setImmediate(() => {
            assert.equal(server.peer(call), peer);
            done(null, createMessage(WhoAmIResponseSchema, { selectors: [`peer:${peer}`] }));
          });
        },
      },
    },
  ]);
  await server.listenUnix({ path, identify: () => ++connections });
  const clients = [1, 2, 3].map(() => createGrpcClient(Host, { kind: 'unix', path }));
  try {
    const rounds = await Promise.all(
      [...clients, ...clients, ...clients].map((client) => client.unary(Host.method.whoAmI, {})),
    );
    const seen = rounds.map((answer) => answer.selectors.join());
    for (const [i, text] of seen.entries()) assert.equal(text, seen[i % 3]);
    assert.equal(new Set(seen).size, 3);
  } finally {
    for (const client of clients) client.close();
    await server.close();
    rmSync(folder, { recursive: true });
  }
});

test('a handshake that is under way when the server closes ends with it', async () => {
  const trustDomain = parseTrustDomain('example.org');
  assert.ok(trustDomain.ok);
  const { privateKey } = createKeyPair();
  const key = createSigningKey(privateKey);
  assert.ok(key !== undefined);
  const times = { nowMs: Date.now(), ttlMs: 3_600_000 };
  const root = createRoot({ trustDomain: trustDomain.value, ...times, key });
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const material = { chainPem: derToPem(root.certificateDer), privateKeyPem, rootsPem: [] };
  const server = createGrpcServer<number>([]);
  const port = await server.listenTls({
    host: '127.0.0.1',
    port: 0,
    material: () => material,
    identify: () => 1,
  });
  const raw = connect(port, '127.0.0.1');
  await once(raw, 'connect');
  // By now the server has the connection; the hello comes after it closed.
  await new Promise((resolve) => setImmediate(resolve));
  await server.close();
  const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  socket.on('error', () => {
    // It is to be cut: how is of no interest.
  });
  await once(socket, 'close');
});
