import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { type decodeMessage, grpcDefinition, loadOtlp } from '#wire';
import { createAddressGuard } from '../address-guard.ts';
import type { Evidence } from '../evidence.ts';
import { fakeRecord } from '../fake-evidence.ts';
import { createFakeSurroundings, createFakeTls, type FakeTls } from '../fake-surroundings.ts';
import type { Outcome } from '../receiver.ts';
import type { Surroundings } from '../surroundings.ts';
import { createOtlpGrpc } from './otlp-grpc.ts';

const otlp = await loadOtlp();

type Answer = (
  headers: Metadata,
  uids: readonly unknown[],
) => { readonly error: Partial<ServiceError> } | object;

/** A receiver of OTLP logs by the generated service. */
async function serve(t: TestContext, answer: Answer, tls?: FakeTls): Promise<number> {
  const server = new Server();
  server.addService(grpcDefinition(otlp.LogsService), {
    export: ((call, done) => {
      const { resourceLogs } = call.request as ReturnType<
        typeof decodeMessage<typeof otlp.ExportLogsServiceRequestSchema>
      >;
      const logs = resourceLogs.flatMap(({ scopeLogs }) =>
        scopeLogs.flatMap(({ logRecords }) => logRecords),
      );
      const uids = logs.map(({ attributes }) => attributes[0]?.value?.value.value);
      const told = answer(call.metadata, uids);
      if ('error' in told) done(told.error);
      else done(null, { $typeName: otlp.ExportLogsServiceResponseSchema.typeName, ...told });
    }) satisfies handleUnaryCall<unknown, unknown>,
  });
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
        ]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  t.after(() => server.forceShutdown());
  return port;
}

async function deliver(
  t: TestContext,
  endpoint: string,
  changes: Partial<Surroundings> = {},
  batch: readonly Evidence[] = [fakeRecord(1), fakeRecord(2)],
): Promise<Outcome> {
  const surroundings = createFakeSurroundings(changes);
  surroundings.putSecret('token', 'Bearer s3cr3t-t0k3n');
  const http = {
    endpoint,
    compression: 'gzip',
    headers: { authorization: { file: 'token' } },
  } as const;
  const receiver = createOtlpGrpc(http, surroundings);
  t.after(() => {
    receiver.close();
    surroundings.remove();
  });
  return await receiver.deliver(batch, AbortSignal.timeout(1_500));
}

test('a batch arrives by the service of its signal, with the headers', async (t) => {
  let seen: unknown;
  const port = await serve(t, (headers, uids) => {
    seen = { uids, authorization: headers.get('authorization') };
    return {};
  });
  assert.deepEqual(await deliver(t, `http://127.0.0.1:${port}`), { kind: 'delivered' });
  assert.deepEqual(seen, { uids: ['r-1', 'r-2'], authorization: ['Bearer s3cr3t-t0k3n'] });
});

test('each status means what it should, and no secret comes back', async (t) => {
  const cases = [
    [status.INVALID_ARGUMENT, 'refused'],
    [status.RESOURCE_EXHAUSTED, 'retry'],
    [status.UNAVAILABLE, 'retry'],
    [status.UNAUTHENTICATED, 'retry'],
    [status.UNIMPLEMENTED, 'retry'],
    [status.INTERNAL, 'retry'],
  ] as const;
  for (const [code, kind] of cases) {
    const details = 'you sent Bearer s3cr3t-t0k3n\nforged';
    const port = await serve(t, () => ({ error: { code, details } }));
    const outcome = await deliver(t, `http://127.0.0.1:${port}`);
    assert.equal(outcome.kind, kind, status[code]);
    assert.doesNotMatch(JSON.stringify(outcome), /s3cr3t|\\n/);
  }
});

test('partial success is told', async (t) => {
  const port = await serve(t, () => ({
    partialSuccess: {
      $typeName: otlp.ExportLogsPartialSuccessSchema.typeName,
      rejectedLogRecords: 1n,
      errorMessage: 'old',
    },
  }));
  assert.deepEqual(await deliver(t, `http://127.0.0.1:${port}`), {
    kind: 'delivered',
    rejected: 1,
    note: 'rejected 1: old',
  });
});

test('TLS: the right certificate is taken; a wrong name or authority gets nothing', async (t) => {
  const tls = createFakeTls();
  let calls = 0;
  const port = await serve(t, () => ({ calls: calls++ }), tls);
  const outcomes: string[] = [];
  for (const known of [
    { ca: tls.ca, serverName: 'receiver.example' },
    { ca: tls.ca, serverName: 'other.example' },
    { ca: createFakeTls().ca, serverName: 'receiver.example' },
    undefined,
  ]) {
    outcomes.push((await deliver(t, `https://127.0.0.1:${port}`, { tls: known })).kind);
  }
  assert.deepEqual([outcomes, calls], [['delivered', 'retry', 'retry', 'retry'], 1]);
});

test('nobody there, one that hangs, one that speaks something else', async (t) => {
  const silent = createServer();
  const chatty = createServer((socket) => {
    socket.on('error', () => {
      // The client may leave at any time.
    });
    socket.write('220 mail.example ESMTP\r\n');
  });
  const ports: number[] = [];
  for (const server of [silent, chatty]) {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    server.on('connection', (socket) => t.after(() => socket.destroy()));
    t.after(() => server.close());
    ports.push((server.address() as AddressInfo).port);
  }
  const startedAt = Date.now();
  const outcomes = await Promise.all(
    [1, ...ports].map((port) => deliver(t, `http://127.0.0.1:${port}`)),
  );
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['retry', 'retry', 'retry'],
  );
  assert.ok(Date.now() - startedAt < 4_000);
});

test('SSRF: a port of the mesh and a metadata address are not dialled', async (t) => {
  const port = await serve(t, () => assert.fail('something was sent'));
  const guard = createAddressGuard({ ownPorts: () => [port], allowed: [] });
  for (const endpoint of [
    `http://127.0.0.1:${port}`,
    `http://localhost:${port}`,
    'http://169.254.169.254:4317',
  ]) {
    const outcome = await deliver(t, endpoint, { guard });
    assert.ok(outcome.kind === 'retry');
    assert.match(outcome.reason, /^not sent: /);
  }
});
