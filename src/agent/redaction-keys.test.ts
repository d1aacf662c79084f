import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { WorkloadIdentity } from '#identity';
import { createCell } from '#lib';
import { createSilentLog } from '#telemetry';
import { createFakeScheduler } from '#testing';
import { createMessage, FetchRedactionKeysResponseSchema, Host } from '#wire';
import { createFakeMesh } from './fake-mesh.ts';
import { errorOf, fakeCredentials, readerOf, startWorld } from './fake-world.ts';
import { followRedactionKeys } from './redaction-client.ts';
import { createRedactionKeySource, goodKeys, type PeriodKey } from './redaction-keys.ts';

const mesh = createFakeMesh();
after(() => mesh.remove());
const uid = process.getuid?.() ?? 0;
const keyOf = (period: string, byte = 7): PeriodKey => ({ period, key: Buffer.alloc(32, byte) });

test('a sidecar gets the keys of the authority through its agent, which keeps them off its disk', async () => {
  const world = await startWorld(mesh);
  await world.register();
  const held = Promise.withResolvers<readonly PeriodKey[]>();
  const about = { agentSocket: world.socketPath, log: createSilentLog() };
  const client = followRedactionKeys(about, (keys) => held.resolve(keys));
  const [first] = await held.promise;
  assert.equal(first?.period, '2026-01-31');
  assert.deepEqual(Buffer.from(first.key), Buffer.alloc(32, 7));
  client.close();
  for (const name of readdirSync(world.folder, { recursive: true }) as string[]) {
    if (name.endsWith('.sock') || !name.includes('.')) continue;
    const text = readFileSync(join(world.folder, name), 'latin1');
    for (const spelling of ['latin1', 'hex', 'base64'] as const) {
      assert.ok(!text.includes(Buffer.alloc(32, 7).toString(spelling)), name);
    }
  }
  await world.end();
});

test('attack: a process without an identity asks for the keys', async () => {
  const world = await startWorld(mesh, { credentials: fakeCredentials({ uid: uid + 1 }) });
  await world.register();
  const stream = world.host.serverStream(Host.method.followRedactionKeys, {});
  const reader = readerOf(stream);
  assert.equal(await reader.error(), status.PERMISSION_DENIED);
  assert.equal(await errorOf(world.host.serverStream(Host.method.followRedactionKeys, {})), 7);
  await world.end();
});

test('an authority that is away is asked again soon; the next day’s key comes in its time', async () => {
  const scheduler = createFakeScheduler();
  let answer: readonly PeriodKey[] | undefined;
  let asked = 0;
  const source = createRedactionKeySource({
    agent: createCell<WorkloadIdentity | undefined>({} as WorkloadIdentity),
    authority: {
      fetchRedactionKeys() {
        asked++;
        if (answer === undefined) return Promise.reject(new Error('away'));
        const keys = answer.map((key) => ({ ...key }));
        return Promise.resolve(createMessage(FetchRedactionKeysResponseSchema, { keys }));
      },
    },
    random: () => 0.5,
    scheduler,
    log: createSilentLog(),
  });
  const periods = () => source.current().map(({ period }) => period);
  await scheduler.pass(4_000);
  assert.deepEqual([asked, periods()], [1, []]);
  answer = [keyOf('2026-01-31')];
  await scheduler.pass(2_000);
  assert.deepEqual([asked, periods()], [2, ['2026-01-31']]);
  answer = [keyOf('2026-01-31'), keyOf('2026-02-01')];
  await scheduler.pass(10 * 60_000);
  assert.deepEqual(periods(), ['2026-01-31', '2026-02-01']);
  let told = 0;
  source.onChange(() => told++);
  await scheduler.pass(10 * 60_000);
  assert.equal(told, 0, 'the same keys are no news');
  answer = [keyOf('2026-01-31', 8), keyOf('2026-02-01', 8)];
  await scheduler.pass(10 * 60_000);
  assert.equal(told, 1, 'others of the same days are');
  answer = undefined;
  await scheduler.pass(10 * 60_000);
  assert.equal(source.current().length, 2, 'what is held stays');
  source.close();
});

test('what can be no key is left out, and more than a few', () => {
  const good = keyOf('2026-01-31');
  const short = { period: '2026-01-31', key: new Uint8Array(31) };
  assert.deepEqual(goodKeys([short, { ...good, period: '__proto__' }, good]), [good]);
  assert.equal(goodKeys(Array.from({ length: 100 }, () => good)).length, 4);
});
