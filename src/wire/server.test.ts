import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
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
