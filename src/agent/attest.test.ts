import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { ok } from '#lib';
import { createAttestor } from './attest.ts';
import { createFakeProcesses } from './fake-processes.ts';

const PID = 7;

/** Attests process 7 while `meanwhile` happens to it; `hasPidfd` is what kernels before 6.5 lack. */
async function attestWhile(
  hasPidfd: boolean,
  meanwhile: (processes: ReturnType<typeof createFakeProcesses>) => void,
): Promise<boolean> {
  const processes = createFakeProcesses();
  processes.start(PID, 1, 100);
  const isAlive = hasPidfd ? () => processes.read(PID)?.startTime === 100 : undefined;
  const attestor = createAttestor({
    credentials: { credentialsOf: () => ok({ pid: PID, uid: 1, gid: 1, isAlive }) },
    processes,
    attestors: [
      {
        name: 'unix',
        strength: 'process',
        async selectorsOf() {
          await Promise.resolve();
          meanwhile(processes);
          return ['unix:uid:1'];
        },
      },
    ],
  });
  const peer = attestor.identify({} as Socket);
  assert.ok(peer.ok);
  const attested = await attestor.attest(peer.value);
  if (attested.ok) assert.deepEqual(attested.value, ['unix:uid:1']);
  const again = await attestor.attest(peer.value);
  assert.equal(again.ok, attested.ok, 'who is gone stays gone');
  return attested.ok;
}

for (const hasPidfd of [true, false]) {
  const how = hasPidfd ? 'with a pidfd' : 'by its start time';
  test(`a process that runs is attested ${how}`, async () => {
    assert.equal(await attestWhile(hasPidfd, () => {}), true);
  });
  test(`attack: a process that ends while it is attested is nobody ${how}`, async () => {
    assert.equal(await attestWhile(hasPidfd, (processes) => processes.end(PID)), false);
  });
  test(`attack: another process takes over its pid meanwhile ${how}`, async () => {
    assert.equal(await attestWhile(hasPidfd, (processes) => processes.start(PID, 1, 101)), false);
  });
}
