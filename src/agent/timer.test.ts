import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeScheduler } from '#testing';
import { whenClockSays } from './timer.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

for (const [name, stepMs, doneAfterMs] of [
  ['stays', 0, 30 * MINUTE],
  ['is set ahead by an hour', HOUR, MINUTE],
  ['is set back by an hour', -HOUR, 30 * MINUTE],
] as const) {
  test(`work that is due in half an hour, while the clock ${name}`, async () => {
    const scheduler = createFakeScheduler();
    let done = 0;
    whenClockSays(
      { atMs: scheduler.clock() + 30 * MINUTE, clock: scheduler.clock, scheduler },
      () => done++,
    );
    scheduler.setAhead(stepMs);
    await scheduler.pass(doneAfterMs - MINUTE);
    assert.equal(done, 0);
    await scheduler.pass(MINUTE);
    assert.equal(done, 1);
    await scheduler.pass(3 * HOUR);
    assert.equal(done, 1, 'once');
  });
}

test('what is called off is not done', async () => {
  const scheduler = createFakeScheduler();
  const cancel = whenClockSays(
    { atMs: scheduler.clock() + MINUTE, clock: scheduler.clock, scheduler },
    () => assert.fail('done'),
  );
  await scheduler.pass(45_000);
  cancel();
  await scheduler.pass(HOUR);
});
