// What `lossy-network.test.ts` runs inside a network namespace of its own: a pair of proxies on a line that loses packets
// and is narrow. Prints one line of JSON. `node lossy-load.ts LOSS_PERCENT RATE TRANSPORT SECONDS`
import { execFileSync } from 'node:child_process';
import { Agent } from 'node:http';
import { createFakePair } from '../../src/proxy/fake-pair.ts';
import { call, startCountingApplication } from './fault-mesh.ts';

const [loss = '0', rate = '', transport = 'hbone', seconds = '5'] = process.argv.slice(2);

const application = await startCountingApplication();
const pair = await createFakePair({
  application: { port: application.port },
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
const dropped = /counter packets (\d+)/.exec(nft('list', 'ruleset'))?.[1] ?? '0';
console.log(
  JSON.stringify({
    calls: answers.length,
    failed: answers.filter(({ ok }) => !ok).map(({ reason }) => reason ?? 'broken'),
    wrong: answers.filter(({ right }) => !right).length,
    slowestMs: Math.round(Math.max(...answers.map(({ tookMs }) => tookMs))),
    dropped: Number(dropped),
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

function nft(...words: string[]): string {
  return execFileSync('nft', words, { encoding: 'utf8', env: withSbin() });
}

function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
}
