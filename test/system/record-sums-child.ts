// Stores records as fast as it can and prints how many were acknowledged, until it is killed. Calls lie in the last two
// days, so that every level of sums has borders that move meanwhile.
import { openEmbeddedStore } from '../../src/record-store/embedded-store.ts';
import { recordOf, reportOf } from '../../src/record-store/fixtures.ts';

const [folder = '', from = '1'] = process.argv.slice(2);
const bounds = { maxBytes: 1024 ** 3, maxAgeMs: 30 * 86_400_000 };
const store = openEmbeddedStore({ folder, bounds, clock: () => performance.now() });
const EACH = 20;
const SPAN_MS = 2 * 86_400_000;
const STEP_MS = 7 * 60_000;
// A whole hour, two days before the first record of a run is stored.
const BEGIN_MS = 1_800_000_000_000;

process.stdout.write('open\n');
for (let seq = Number(from); ; seq += EACH) {
  const nowMs = BEGIN_MS + SPAN_MS + (seq / EACH) * STEP_MS;
  const records = Array.from({ length: EACH }, (_, at) => {
    const agoMs = at % 2 === 0 ? Math.random() * 60_000 : Math.random() * SPAN_MS;
    const time = new Date(nowMs - agoMs).toISOString();
    return recordOf(seq + at, { time, 'source.service': `caller-${at % 3}` });
  });
  const added = store.add([reportOf(records)], nowMs);
  if (!added.ok) throw new Error(added.error);
  process.stdout.write(`${seq + EACH - 1}\n`);
  store.tidy();
  if (Math.random() < 0.3) store.prune(nowMs);
}
