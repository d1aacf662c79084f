// What `lossy-network.test.ts` runs inside a network namespace of its own: a pair of proxies on a line that loses packets
// and is narrow, or keeps some packets longer than others. Prints one line of JSON.
// `node lossy-load.ts LOSS_PERCENT RATE TRANSPORT SECONDS JITTER_MS`
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createFakePair } from '../../src/proxy/fake-pair.ts';
import { call, startCountingApplication } from './fault-mesh.ts';

const [loss = '0', rate = '', transport = 'hbone', seconds = '5', jitterMs = '0'] =
  process.argv.slice(2);
const SEED = '4';
const DELAY_MS = '2';
/** Of the TUN device: what is sent to the far one comes back as if from there. */
const TUN = { near: '10.77.0.1', far: '10.77.0.2' };

const application = await startCountingApplication();
const tun = jitterMs === '0' ? undefined : await startTun();
const pair = await createFakePair({
  application: { port: application.port },
  ...(tun === undefined
    ? {}
    : { serverHost: TUN.near, endpoints: (own) => [{ ...own, host: TUN.far }] }),
  transport: transport === 'mtls' ? 'mtls' : 'hbone',
});
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
// Connected first: what is tested is a line that turns bad, not a handshake.
await call(pair.caller.outboundPort ?? 0, 'GET', agent);
spoil([pair.server.inboundPort ?? 0, pair.server.hbonePort ?? 0]);

const answers: { ok: boolean; right: boolean; tookMs: number; reason: string | undefined }[] = [];
const end = performance.now() + Number(seconds) * 1000;
await Promise.all(
  Array.from({ length: 8 }, async (_, at) => {
    for (let i = at; performance.now() < end; i++) {
      const method = i % 4 === 0 ? 'POST' : 'GET';
      const answer = await call(pair.caller.outboundPort ?? 0, method, agent);
      const times = application.seen.get(answer.id) ?? 0;
      answers.push({
        ok: answer.status === 200,
        right:
          (answer.status !== 200 || answer.body.startsWith(`app ${answer.id} ${method} `)) &&
          (method === 'GET' || times <= 1),
        tookMs: answer.tookMs,
        reason: answer.reason,
      });
    }
  }),
);
const [packets = 0, overtaken = 0] = tun === undefined ? [] : await stopTun(tun);
const dropped = Number(loss) === 0 ? '0' : droppedPackets();
console.log(
  JSON.stringify({
    calls: answers.length,
    failed: answers.filter(({ ok }) => !ok).map(({ reason }) => reason ?? 'broken'),
    wrong: answers.filter(({ right }) => !right).length,
    slowestMs: Math.round(Math.max(...answers.map(({ tookMs }) => tookMs))),
    dropped: Number(dropped),
    packets,
    overtaken,
  }),
);
process.exit(0);

/** Between the two proxies only: their applications are on the same machine as they. */
function spoil(ports: readonly number[]): void {
  if (Number(loss) > 0) {
    const set = `{ ${ports.join(', ')} }`;
    nft('add', 'table', 'inet', 'lossy');
    nft('add', 'chain', 'inet', 'lossy', 'input', '{ type filter hook input priority 0; }');
    const random = ['numgen', 'random', 'mod', '1000', '<', `${Number(loss) * 10}`];
    for (const side of ['dport', 'sport']) {
      const rule = ['add', 'rule', 'inet', 'lossy', 'input', 'tcp', side, set];
      nft(...rule, ...random, 'counter', 'drop');
    }
  }
  if (rate !== '') {
    const tbf = ['qdisc', 'add', 'dev', 'lo', 'root', 'tbf', 'rate', rate];
    execFileSync('tc', [...tbf, 'burst', '64kb', 'latency', '100ms'], { env: withSbin() });
  }
}

function droppedPackets(): string {
  return /counter packets (\d+)/.exec(nft('list', 'ruleset'))?.[1] ?? '0';
}

async function startTun(): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('reordering-tun.py', import.meta.url));
  const child = spawn('python3', [file, SEED, DELAY_MS, jitterMs], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: withSbin(),
  });
  await once(child.stdout, 'data');
  return child;
}

/** How many packets passed, and how many of them were overtaken. */
async function stopTun(child: ChildProcess): Promise<number[]> {
  child.stdin?.end();
  const [text] = (await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [
    Buffer,
  ];
  return text.toString().trim().split(' ').map(Number);
}

function nft(...words: string[]): string {
  return execFileSync('nft', words, { encoding: 'utf8', env: withSbin() });
}

function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
}
