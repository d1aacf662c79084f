// Certificates that live ten seconds, hence a new one every five, and a rotation of the root in between, while one service calls another a thousand times a second. What counts is what fails.
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { startTestMesh } from '../test/system/mesh.ts';
import { quantile } from './quantile.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 120);
const PER_SECOND = Number(process.env['BENCH_RATE'] ?? 1000);
const TICK_MS = 5;
const SERVER = `require('http').createServer((q, s) => s.end('hello')).listen(process.env.PORT, '127.0.0.1')`;

/** Prints what was served and how fast and, last, `rotate <failed requests> failed`. */
export default async function run(): Promise<void> {
  const mesh = await startTestMesh();
  try {
    await mesh.apply(POLICY + ['client', 'server'].map(registration).join(''));
    await mesh.run('server', [process.execPath, '-e', SERVER]);
    const client = await mesh.run('client', ['sleep', '3600']);
    const load = startLoad(client.ports.outboundPort);
    await delay((SECONDS / 4) * 1000);
    const rotated = await mesh.cli('ca', 'rotate', '--timeout', '60s');
    if (rotated.status !== 0) throw new Error(rotated.stderr);
    const left = load.endsAt - performance.now();
    if (left > 0) await delay(left);
    const { failed, latencies } = await load.stop();
    const at = (q: number) => `${quantile(latencies, q).toFixed(1)} ms`;
    console.log(
      `${latencies.length} requests served in ${SECONDS} s, ${PER_SECOND} a second wanted`,
    );
    console.log(`p50 ${at(0.5)}   p99 ${at(0.99)}   worst ${at(1)}`);
    if (failed.length > 0) console.log(`failures: ${[...new Set(failed)].join(', ')}`);
    console.log(`rotate ${failed.length} failed`);
  } finally {
    await mesh.close();
  }
}

const POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server, namespace: default }
spec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }] }] }
`;

// More selectors than the one that `run` makes by itself, so that this one is taken.
function registration(name: string): string {
  return `---
apiVersion: palisade.dev/v1
kind: Registration
metadata: { name: short-${name}, namespace: default }
spec:
  spiffeId: spiffe://cluster.local/ns/default/sa/${name}
  selectors: ['palisade:service:default/${name}', 'unix:uid:${process.getuid?.() ?? 0}', 'unix:gid:${process.getgid?.() ?? 0}']
  ttl: 10s
`;
}

function startLoad(proxyPort: number) {
  const failed: string[] = [];
  const latencies: number[] = [];
  const pending = new Set<Promise<void>>();
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const begun = performance.now();
  const endsAt = begun + SECONDS * 1000;
  let sent = 0;
  const one = async (): Promise<void> => {
    const at = performance.now();
    const status = await new Promise<string>((resolve) => {
      const headers = { host: 'server' };
      request({ port: proxyPort, path: 'http://server/', headers, agent }, (response) => {
        response.resume();
        response.on('end', () => resolve(String(response.statusCode)));
        response.on('error', (error) => resolve(error.message));
      })
        .on('error', (error) => resolve(error.message))
        .end();
    });
    if (status === '200') latencies.push(performance.now() - at);
    else failed.push(status);
  };
  const timer = setInterval(() => {
    const due = ((performance.now() - begun) / 1000) * PER_SECOND;
    for (; sent < due; sent++) {
      const call = one().finally(() => pending.delete(call));
      pending.add(call);
    }
  }, TICK_MS);
  return {
    endsAt,
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      agent.destroy();
      return { failed, latencies };
    },
  };
}
