import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointStatus } from './enforcement.ts';
import { createPropagationWatch } from './propagation.ts';

const START = Date.UTC(2026, 0, 15, 12);

function point(of: {
  readonly wanted: string;
  readonly enforced: string;
  readonly since?: number;
  readonly connectedAt?: number;
  readonly connected?: boolean;
}): PointStatus {
  const { wanted, enforced, since = START, connectedAt = START - 60_000, connected = true } = of;
  return {
    node: 'default/orders/1',
    namespace: 'default',
    service: 'orders',
    connected,
    connectedAt: new Date(connectedAt).toISOString(),
    sets: [
      {
        namespace: 'default',
        wanted: { number: 1, hash: wanted },
        enforced: { number: 1, hash: enforced },
        current: wanted === enforced,
        wantedSince: new Date(since).toISOString(),
      },
    ],
  } as unknown as PointStatus;
}

test('a version is measured once, from when it was wanted to when it is enforced', () => {
  const watch = createPropagationWatch();
  const took = (at: number, one: PointStatus) =>
    watch.look([one], START + at).map(({ tookMs }) => tookMs);
  assert.deepEqual(took(0, point({ wanted: 'a', enforced: 'a' })), [], 'it was there before');
  assert.deepEqual(took(100, point({ wanted: 'b', enforced: 'a' })), []);
  assert.deepEqual(took(400, point({ wanted: 'b', enforced: 'b' })), [400]);
  assert.deepEqual(took(500, point({ wanted: 'b', enforced: 'b' })), []);
});

test('one that never arrives is late once, and one that nobody could deliver is not', () => {
  const watch = createPropagationWatch();
  watch.look([point({ wanted: 'a', enforced: 'a' })], START);
  const behind = point({ wanted: 'b', enforced: 'a' });
  assert.deepEqual(watch.look([behind], START + 59_999), []);
  assert.equal(watch.look([behind], START + 60_000)[0]?.tookMs, 60_000);
  assert.deepEqual(watch.look([behind], START + 70_000), []);
  const away = createPropagationWatch();
  const gone = point({ wanted: 'b', enforced: 'a', connected: false });
  assert.deepEqual(away.look([gone], START + 3_600_000), []);
  const back = { wanted: 'b', connectedAt: START + 3_600_000 };
  assert.deepEqual(away.look([point({ ...back, enforced: 'a' })], START + 3_600_100), []);
  const [late] = away.look([point({ ...back, enforced: 'b' })], START + 3_600_300);
  assert.equal(late?.tookMs, 300, 'it counts from when it came back');
});
