import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKeyPair, jwtKeyOf, type WorkloadIdentity } from '#identity';
import { createCell } from '#lib';
import { createSilentLog } from '#telemetry';
import { createFakeScheduler } from '#testing';
import { encodeEnvelope, signJwtKeys } from '#trust';
import { createMessage, FetchJwtKeysResponseSchema } from '#wire';
import { createFakeMesh, TRUST_DOMAIN } from './fake-mesh.ts';
import { createJwtKeySource } from './jwt-keys.ts';

test('keys that came while older ones are being written are asked for all the same', async () => {
  const mesh = createFakeMesh();
  const scheduler = createFakeScheduler();
  let sequence = 1;
  const written: unknown[] = [];
  const disk = Promise.withResolvers<void>();
  const source = createJwtKeySource({
    agent: createCell<WorkloadIdentity | undefined>({} as WorkloadIdentity),
    authority: {
      fetchJwtKeys() {
        const set = { sequence, keys: [jwtKeyOf(createKeyPair().publicKey)] };
        const nowMs = scheduler.clock();
        const signed = signJwtKeys(set, {
          trustDomain: TRUST_DOMAIN,
          nowMs,
          signer: mesh.logSigner,
        });
        const envelope = encodeEnvelope(signed);
        return Promise.resolve(createMessage(FetchJwtKeysResponseSchema, { envelope }));
      },
    },
    trustRoot: () => mesh.trustRoot,
    folder: {
      path: '',
      readJson: () => undefined,
      // A disk that takes its time, as under load.
      async writeJson(_name, value) {
        await disk.promise;
        written.push(value);
      },
      remove: () => Promise.resolve(),
    },
    clock: scheduler.clock,
    random: () => 0,
    scheduler,
    log: createSilentLog(),
  });
  await source.refresh();
  assert.equal(source.current()?.sequence, 1);
  sequence = 2;
  scheduler.setAhead(2_000);
  await source.refresh();
  assert.equal(source.current()?.sequence, 2);
  assert.deepEqual(written, []);
  disk.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(written.length, 2, 'one after the other, the newest last');
  source.close();
  mesh.remove();
});
