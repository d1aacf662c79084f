// A mesh whose CA, control plane and agent are processes of their own, so that one can be attacked without the others.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, meshIn, palisade, type Running, start, type TestMesh } from './mesh.ts';

/** What may run apart. */
export type MeshPart = 'ca' | 'control' | 'agent';

/** The processes and the addresses they were given. */
export type MeshParts = {
  readonly dataDir: string;
  readonly running: Map<MeshPart, Running>;
  /** `host:port` of the control plane's Distribution and of the CA. */
  readonly grpc: string;
  readonly ca: string;
  readonly start: (part: MeshPart) => Promise<Running>;
  /** Changes `mesh.json` for the processes that start from now on. */
  readonly configure: (change: Readonly<Record<string, unknown>>) => void;
  readonly mesh: () => TestMesh;
  readonly close: () => Promise<void>;
};

/** Prepares the data folder; nothing runs yet. */
export async function prepareParts(): Promise<MeshParts> {
  const dataDir = mkdtempSync(join(tmpdir(), 'palisade-parts-'));
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
  const [api, grpc, ca, console] = ports.map((port) => `127.0.0.1:${port}`) as [
    string,
    string,
    string,
    string,
  ];
  const file = join(dataDir, 'mesh.json');
  const running = new Map<MeshPart, Running>();
  writeFileSync(
    file,
    JSON.stringify({
      trustDomain: 'cluster.local',
      api: `https://${api}`,
      grpc,
      ca,
      console: `http://${console}`,
      agentSocket: join(dataDir, 'agent', 'agent.sock'),
      strict: false,
    }),
  );
  return {
    dataDir,
    running,
    grpc,
    ca,
    async start(part) {
      const started = start(palisade(part, '--data', dataDir));
      running.set(part, started);
      await started.printed(/^ready/m, 30_000);
      return started;
    },
    configure(change) {
      const settings = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      writeFileSync(file, JSON.stringify({ ...settings, ...change }));
    },
    mesh() {
      const agent = running.get('agent');
      if (agent === undefined) throw new Error('no agent runs yet');
      return meshIn(dataDir, agent);
    },
    async close() {
      await Promise.all([...running.values()].map((process) => process.stop()));
    },
  };
}
