// kill -9 of every process at random moments while policies are applied: nothing acknowledged is lost, the mesh
// converges, and a sidecar never forwards what its last good policy denies.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ApiError,
  commitChanges,
  fetchPolicySet,
  loadAuthor,
  openSession,
  type Session,
} from '#client';
import { parseStoredResource } from '#resource';
import { answering } from './applications.ts';
import { curlFrom, finish, type Service, sidecarOf } from './mesh.ts';
import { type MeshPart, type MeshParts, prepareParts } from './mesh-parts.ts';

const ROUNDS = Number(process.env['PALISADE_CRASH_ROUNDS'] ?? 50);
// A seed in the output lets a failing run be repeated.
const SEED = Number(process.env['PALISADE_CRASH_SEED'] ?? Date.now() % 1_000_000);

const PARTS = ['ca', 'control', 'agent'] as const;

test(`${ROUNDS} rounds of kill -9 (seed ${SEED})`, { timeout: 900_000 }, async () => {
  const random = createRandom(SEED);
  const parts = await prepareParts();
  for (const part of PARTS) await parts.start(part);
  const mesh = parts.mesh();
  try {
    const session = await sessionOf(parts.dataDir);
    await commit(session, 'palisade-system', meshResource());
    await mesh.run('server', answering('s.end(q.url)'));
    const client = await mesh.run('client', ['sleep', '3600']);
    const victims = ['ca', 'control', 'agent', 'server', 'client'] as const;
    const probe = startProbe(client);
    let acknowledged = 0;
    for (let round = 1; round <= ROUNDS; round += 1) {
      const victim = victims[Math.floor(random() * victims.length)] ?? 'control';
      const applying = applyRound(session, round);
      await delay(random() * 120);
      await kill(victim, parts);
      if (await applying) acknowledged = round;
      if (isPart(victim)) await parts.start(victim);
      const live = await liveRound(session);
      assert.ok(live >= acknowledged, `round ${acknowledged} was acknowledged and ${live} is live`);
      acknowledged = Math.max(acknowledged, live);
    }
    const last = ROUNDS + 1;
    await retried(() => applyRound(session, last));
    const status = await mesh.cli('status', '--wait', '--timeout', '60s');
    assert.equal(status.status, 0, status.stdout + status.stderr);
    await retried(
      async () => (await curlFrom(client, `http://server/round/${last}`)).status === 200,
    );
    const leaked = await probe.stop();
    assert.deepEqual(leaked, []);
  } finally {
    await parts.close();
    await mesh.close();
  }
});

async function kill(victim: MeshPart | 'server' | 'client', parts: MeshParts): Promise<void> {
  if (isPart(victim)) return parts.running.get(victim)?.stop('SIGKILL');
  // Its supervisor starts it again; the pid changes each time, so it is read anew.
  await finish(['kill', '-9', String(sidecarOf(parts, victim).pid)]);
}

function isPart(victim: string): victim is MeshPart {
  return PARTS.some((part) => part === victim);
}

async function sessionOf(dataDir: string): Promise<Session> {
  const session = openSession({ dataDir });
  if (!session.ok) throw new Error(session.error);
  return session.value;
}

async function commit(session: Session, namespace: string, resource: unknown): Promise<void> {
  const parsed = parseStoredResource(resource);
  if (!parsed.ok) throw new Error(parsed.error);
  const author = loadAuthor(session.folder);
  if (!author.ok) throw new Error(author.error);
  const { kind, metadata } = parsed.value;
  const stored = await commitChanges({
    api: session.api,
    namespace,
    trustRoot: session.trustRoot,
    author: author.value,
    changes: () => [{ key: `${kind}/${metadata.name}`, resource: parsed.value }],
  });
  if (!stored.ok) throw new Error(stored.error.message);
}

/** Allows `/round/N`; true if the control plane acknowledged it. */
async function applyRound(session: Session, round: number): Promise<boolean> {
  try {
    await commit(session, 'default', {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'server', namespace: 'default' },
      spec: {
        selector: { matchLabels: { app: 'server' } },
        action: 'ALLOW',
        rules: [
          {
            from: [{ source: { principals: ['cluster.local/ns/default/sa/client'] } }],
            to: [{ operation: { paths: [`/round/${round}`] } }],
          },
        ],
      },
    });
    return true;
  } catch (error) {
    // The control plane died before it answered: the change may be stored or not, but nobody was told it is.
    if (error instanceof ApiError) return false;
    throw error;
  }
}

/** The round that the stored policy allows. */
async function liveRound(session: Session): Promise<number> {
  return retried(async () => {
    const live = await fetchPolicySet(session.api, 'default', session.trustRoot);
    if (!live.ok) throw new Error(live.error.message);
    const text = JSON.stringify(live.value.set?.resources.get('AuthorizationPolicy/server') ?? '');
    return { round: Number(/\/round\/(\d+)/.exec(text)?.[1] ?? 0) };
  }).then((found) => found.round);
}

/** Asks, all the time, for what no policy ever allowed; `stop` resolves to the answers that came through. */
function startProbe(client: Service): { stop: () => Promise<readonly string[]> } {
  const leaked: string[] = [];
  let running = true;
  let asked = 0;
  const loop = (async () => {
    while (running) {
      const answer = await curlFrom(client, 'http://server/never/allowed');
      asked += 1;
      if (answer.status === 200) leaked.push(answer.body);
      await delay(20);
    }
  })();
  return {
    async stop() {
      running = false;
      await loop;
      assert.ok(asked > 20, `the probe asked ${asked} times only`);
      return leaked;
    },
  };
}

async function retried<T>(attempt: () => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const value = await attempt();
      if (value) return value;
    } catch (error) {
      if (!(error instanceof ApiError) || Date.now() > deadline) throw error;
    }
    if (Date.now() > deadline) throw new Error('it did not converge');
    await delay(100);
  }
}

function meshResource(): unknown {
  return {
    apiVersion: 'palisade.dev/v1',
    kind: 'Mesh',
    metadata: { name: 'mesh', namespace: 'palisade-system' },
    spec: { trustDomain: 'cluster.local' },
  };
}

// mulberry32: a small generator, so that the seed alone repeats a run.
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
