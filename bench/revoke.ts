// From handing in a revocation to the last of a thousand agents holding it, and to the live call between two real
// sidecars being cut. The agents are streams of one process, which read and do not verify; the sidecars do all of it.
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import {
  fetchRevocations,
  loadAuthor,
  openSession,
  type Session,
  signNextRevocation,
  submitRevocations,
} from '#client';
import type { RevocationAct, RevocationTarget } from '#trust';
import { createGrpcClient, createMessage, Revocations, SyncMessageSchema } from '#wire';
import { startTestMesh } from '../test/system/mesh.ts';
import { enrol, joinToken, publicTrust, targetOf } from '../test/system/stolen-identity.ts';
import { quantile } from './quantile.ts';

const AGENTS = 1_000;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 60);
const WARM_UPS = 5;
const CONNECTED_AT_ONCE = 25;
const ID = 'spiffe://cluster.local/ns/default/sa/client';
const TARGET: RevocationTarget = { kind: 'identity', id: ID, issuedBefore: null };
const SERVER = `require('http').createServer((q, s) => {
  s.write('begun');
  if (q.url === '/') s.end();
}).listen(process.env.PORT, '127.0.0.1')`;

/** Prints the distribution and, last, `revoke <p99 in ms> ms`. */
export default async function run(): Promise<void> {
  const mesh = await startTestMesh();
  const agents = await simulateAgents(mesh.dataDir);
  try {
    await mesh.run('server', [process.execPath, '-e', SERVER]);
    const client = await mesh.run('client', ['sleep', '3600']);
    await mesh.apply(POLICY);
    const session = openSession({ dataDir: mesh.dataDir });
    if (!session.ok) throw new Error(session.error);
    const all: number[] = [];
    const cuts: number[] = [];
    for (let round = 0; round < WARM_UPS + ROUNDS; round++) {
      const call = await openCall(client.ports.outboundPort);
      const revoke = await sign(session.value, { kind: 'revoke', reason: '', until: null });
      const begun = performance.now();
      const arrived = agents.nextEntry();
      await submitRevocations(session.value.api, [revoke]);
      const [last, cut] = await Promise.all([arrived, call.closed]);
      if (round >= WARM_UPS) {
        all.push(Math.max(last, cut) - begun);
        cuts.push(cut - begun);
      }
      const lifted = agents.nextEntry();
      const act = { kind: 'lift', reason: '', revocation: revoke.hash } as const;
      await submitRevocations(session.value.api, [await sign(session.value, act)]);
      await lifted;
    }
    print(all, cuts);
  } finally {
    agents.close();
    await mesh.close();
  }
}

async function sign(session: Session, act: RevocationAct) {
  const { api, trustRoot, folder } = session;
  const journalPath = folder.author.revocations;
  const author = loadAuthor(folder);
  if (!author.ok) throw new Error(author.error);
  const held = await fetchRevocations(api, trustRoot, journalPath);
  const more = { author: author.value, target: TARGET, act, nowMs: Date.now(), journalPath };
  return signNextRevocation({ held, trustRoot, ...more });
}

/** A thousand mutual TLS connections to the control plane, each with a Sync stream. */
async function simulateAgents(dataDir: string) {
  const settings = openSession({ dataDir });
  if (!settings.ok) throw new Error(settings.error);
  const { ca, grpc } = settings.value.settings;
  const trust = publicTrust(dataDir);
  const id = 'spiffe://cluster.local/palisade/agent/simulated';
  const material = await enrol({ ca, trust }, id, joinToken(dataDir, 'agent'));
  const target = targetOf(grpc, 'spiffe://cluster.local/palisade/control', trust, material);
  let waiting = 0;
  let resolve: (at: number) => void = () => {};
  const closers: (() => void)[] = [];
  const connect = async (): Promise<void> => {
    const client = createGrpcClient(Revocations, target);
    const stream = client.bidi(Revocations.method.sync);
    closers.push(client.close);
    stream.on('error', () => {
      // The end of the benchmark.
    });
    stream.write(createMessage(SyncMessageSchema, { holds: { chains: [] } }));
    await new Promise<void>((greeted) => {
      stream.on('data', ({ entries }) => {
        greeted();
        if (entries.length > 0 && --waiting === 0) resolve(performance.now());
      });
    });
  };
  for (let at = 0; at < AGENTS; at += CONNECTED_AT_ONCE) {
    await Promise.all(Array.from({ length: CONNECTED_AT_ONCE }, connect));
  }
  return {
    /** When the last agent got the next entry. */
    nextEntry(): Promise<number> {
      waiting = AGENTS;
      return new Promise((done) => (resolve = done));
    },
    close: () => closers.forEach((close) => close()),
  };
}

/** A call whose answer has begun and does not end. */
async function openCall(proxyPort: number): Promise<{ readonly closed: Promise<number> }> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const call = await new Promise<{ readonly closed: Promise<number> } | undefined>((done) => {
      const headers = { host: 'server' };
      const options = { port: proxyPort, path: 'http://server/endless', headers, agent: false };
      const asked = request(options, (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          return done(undefined);
        }
        const closed = new Promise<number>((resolve) =>
          response.once('close', () => resolve(performance.now())),
        );
        response.on('error', () => {
          // Being cut is what is measured.
        });
        response.once('data', () => done({ closed }));
      });
      asked.on('error', () => done(undefined));
      asked.end();
    });
    if (call !== undefined) return call;
    await delay(50);
  }
  throw new Error('the call between the sidecars never began');
}

const POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server, namespace: default }
spec: { rules: [{ from: [{ source: { principals: [cluster.local/ns/default/sa/client] } }] }] }
`;

function print(all: readonly number[], cuts: readonly number[]): void {
  const row = (of: readonly number[]) =>
    [0.5, 0.9, 0.99, 1].map((q) => `${quantile(of, q).toFixed(0)} ms`.padStart(8)).join(' ');
  console.log(`revoke, ${ROUNDS} times:                        p50      p90      p99    worst`);
  console.log(`live call between two sidecars cut      ${row(cuts)}`);
  console.log(`that, and held by ${AGENTS} agents        ${row(all)}`);
  console.log(`revoke ${quantile(all, 0.99).toFixed(0)} ms`);
}
