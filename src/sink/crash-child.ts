// Started by crash.test.ts: sinks in a process of its own, to be killed in the middle of their work. What the store of a
// control plane would keep is a count here: the source has as many records as time has passed.
import { createSilentLog } from '#telemetry';
import type { Evidence } from './evidence.ts';
import { fakeRecord } from './fake-evidence.ts';
import { createScheduler, createSinkHub } from './index.ts';

const [folder = '', port = '', startedAt = '', total = ''] = process.argv.slice(2);
const made = (): number => {
  const passedMs = Math.max(0, Date.now() - Number(startedAt));
  return Math.min(Number(total), Math.floor(passedMs / 2) * 10);
};
const record = (n: number): Evidence => ({ ...fakeRecord(n), position: n });

const hub = createSinkHub({
  folder,
  env: { PALISADE_SINK_KEY: 'a signing secret of tests' },
  trustDomain: 'cluster.local',
  version: '0',
  hostname: 'test',
  ownPorts: () => [],
  consoleUrl: () => '',
  sources: {
    records: {
      newest: () => Promise.resolve(0),
      readAfter(position, limit) {
        const count = Math.max(0, Math.min(limit, made() - position));
        return Promise.resolve(Array.from({ length: count }, (_, i) => record(position + 1 + i)));
      },
    },
  },
  clock: Date.now,
  scheduler: createScheduler(),
  log: createSilentLog(),
});
let offered = made();
await hub.configure([
  {
    apiVersion: 'palisade.dev/v1',
    kind: 'Sink',
    metadata: { name: 'crash', namespace: 'palisade-system' },
    spec: {
      evidence: { records: {} },
      format: 'json',
      webhook: {
        endpoint: `http://127.0.0.1:${port}`,
        compression: 'none',
        signing: { secret: { env: 'PALISADE_SINK_KEY' } },
      },
      limits: { maxQueueBytes: 1 << 24, maxAge: '1h', maxBatch: 50, timeout: '2s' },
      paused: false,
    },
  },
]);
setInterval(() => {
  const now = made();
  hub.offer(
    'records',
    Array.from({ length: now - offered }, (_, i) => record(offered + 1 + i)),
  );
  offered = now;
}, 5);
