// The agent of a benchmark, in a process of its own: a real one, but that its connections count in turn as those of other
// users, so that one client process stands for many workloads. `agent-child.js DATA-FOLDER WORKLOADS FIRST-UID`
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent } from '#agent';
import { layoutOf, readMeshSettings } from '#client';
import { createSilentLog } from '#telemetry';
import { createKernelCredentials } from '../src/agent/credentials.ts';

// As `palisade agent` has it.
Buffer.poolSize = 8192;
const [dataDir = '', workloads = '1', firstUid = '0'] = process.argv.slice(2);
const layout = layoutOf(dataDir);
const settings = readMeshSettings(layout);
if (!settings.ok) throw new Error(settings.error);
const kernel = await createKernelCredentials();
if (!kernel.ok) throw new Error(kernel.error);
const folder = join(dataDir, 'bench-agent');
let connections = 0;
const agent = await createAgent({
  folder,
  socketPath: join(folder, 'agent.sock'),
  trustRootFile: layout.trustRoot,
  caAddress: settings.value.ca,
  controlAddress: settings.value.grpc,
  joinToken: () => readFileSync(layout.ca.joinTokenAgent, 'utf8').trim(),
  hostName: 'bench',
  clock: Date.now,
  log: createSilentLog(),
  credentials: {
    credentialsOf(socket) {
      const peer = kernel.value.credentialsOf(socket);
      if (!peer.ok) return peer;
      const uid = Number(firstUid) + (connections++ % Number(workloads));
      return { ok: true, value: { ...peer.value, uid } };
    },
  },
});
if (!agent.ok) throw new Error(agent.error);
console.log('ready');
process.on('SIGTERM', () => process.exit(0));
