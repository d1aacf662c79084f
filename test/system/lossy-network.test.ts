// Packets that are lost or overtaken and a line that is narrow, in a network namespace of the test's own: calls are slow, never wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findProgram, finish } from './mesh.ts';

const LOAD = fileURLToPath(new URL('lossy-load.ts', import.meta.url));
const SECONDS = 4;
const JITTER_MS = 10;

type Lossy = {
  readonly calls: number;
  readonly failed: readonly string[];
  readonly wrong: number;
  readonly slowestMs: number;
  readonly dropped: number;
  readonly packets: number;
  readonly overtaken: number;
};

const CASES = [
  { name: '3 % of packets lost', loss: 3, rate: '', transport: 'hbone' },
  { name: '3 % of packets lost', loss: 3, rate: '', transport: 'mtls' },
  { name: 'a line of 2 Mbit/s', loss: 0, rate: '2mbit', transport: 'hbone' },
  { name: '1 % lost on a line of 5 Mbit/s', loss: 1, rate: '5mbit', transport: 'mtls' },
] as const;

for (const { name, loss, rate, transport } of CASES) {
  test(`${name} (${transport}): every call is answered, once and rightly`, async (t) => {
    const missing = await whyNot();
    if (missing !== undefined) return t.skip(missing);
    const seen = await load(loss, `'${rate}'`, transport, SECONDS);
    t.diagnostic(`${seen.calls} calls, ${seen.dropped} packets lost, slowest ${seen.slowestMs} ms`);
    if (loss > 0) assert.ok(seen.dropped > 0, 'nothing was lost');
  });
}

for (const transport of ['hbone', 'mtls']) {
  test(`packets that overtake each other (${transport}): every call is answered, once and rightly`, async (t) => {
    const missing = (await whyNot()) ?? (await whyNoTun());
    if (missing !== undefined) return t.skip(missing);
    const seen = await load(0, "''", transport, SECONDS, JITTER_MS);
    t.diagnostic(`${seen.calls} calls, ${seen.overtaken} of ${seen.packets} packets overtaken`);
    assert.ok(seen.overtaken > seen.packets / 20, 'hardly any was overtaken');
  });
}

/** Runs the load in a namespace of its own; no call may fail or get what is not its own. */
async function load(...words: readonly (string | number)[]): Promise<Lossy> {
  const command = `ip link set lo up && exec ${process.execPath} ${LOAD} ${words.join(' ')}`;
  const done = await finish(['unshare', '--net', 'sh', '-c', command]);
  assert.equal(done.status, 0, done.stderr);
  const seen = JSON.parse(done.stdout) as Lossy;
  assert.equal(seen.wrong, 0, done.stdout);
  assert.deepEqual(seen.failed, [], done.stdout);
  assert.ok(seen.calls >= 20, done.stdout);
  return seen;
}

async function whyNoTun(): Promise<string | undefined> {
  if ((await findProgram('python3')) === undefined) return 'needs python3';
  const tried = await finish(['sh', '-c', ': <>/dev/net/tun']);
  return tried.status === 0 ? undefined : `needs /dev/net/tun: ${tried.stderr}`;
}

async function whyNot(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root for a network namespace of its own';
  for (const program of ['unshare', 'ip', 'nft', 'tc']) {
    if ((await findProgram(program)) === undefined) return `needs \`${program}\``;
  }
  const tried = await finish(['unshare', '--net', 'true']);
  return tried.status === 0 ? undefined : `network namespaces cannot be made: ${tried.stderr}`;
}
