// Whom the benchmark of floods attacks, and whom it asks meanwhile: Palisade's pair, HAProxy's and Envoy's with the same HTTP/2
// and mutual TLS between, each before an application of its own; and a Palisade pair that is asked while another one is flooded,
// which shows what the machine itself does to a request while something else is busy.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FLOODED_SERVICE } from '../test/system/http2-floods.ts';
import { freePort, startTestMesh, type TestMesh } from '../test/system/mesh.ts';
import { envoyBinary, startPeers, writeIdentities } from './pairs.ts';
import { envoyConfig, haproxyConfig } from './sidecar-peers.ts';

/** Where a flood goes, and where fresh requests go at the same time. */
export type Target = {
  readonly name: 'Palisade' | 'another Palisade' | 'HAProxy' | 'Envoy';
  readonly floodedPort: number;
  readonly askedPort: number;
};

/** What is running, and how to end all of it. */
export type Targets = { readonly targets: readonly Target[]; readonly close: () => Promise<void> };

const APPLICATION = fileURLToPath(new URL('../test/system/big-answers.js', import.meta.url));

/** Starts all targets; Envoy is left out, and said so, where there is none. */
export async function startTargets(): Promise<Targets> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const children: ChildProcess[] = [];
  let mesh: TestMesh | undefined;
  const close = async (): Promise<void> => {
    for (const child of children) child.kill('SIGKILL');
    await mesh?.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    mesh = await startTestMesh();
    const own = await startPalisade(mesh, 'orders', 'web');
    const other = await startPalisade(mesh, 'stock', 'shop');
    const targets: Target[] = [
      { name: 'Palisade', floodedPort: own, askedPort: own },
      { name: 'another Palisade', floodedPort: other, askedPort: own },
    ];
    const identities = writeIdentities(folder);
    for (const name of ['haproxy', 'envoy'] as const) {
      if (name === 'envoy' && envoyBinary() === undefined) {
        console.log('Envoy left out: set ENVOY_BIN or have `envoy` in PATH');
        continue;
      }
      const [callerPort, serverPort, appPort] = [
        await freePort(),
        await freePort(),
        await freePort(),
      ];
      const files = { ...identities, callerPort, serverPort, appPort, folder };
      children.push(spawnApplication(appPort));
      const config = name === 'envoy' ? envoyConfig : haproxyConfig;
      children.push(...startPeers(name, config, { ...files, protocol: 'grpc' }));
      const target = name === 'envoy' ? 'Envoy' : 'HAProxy';
      targets.push({ name: target, floodedPort: callerPort, askedPort: callerPort });
    }
    return { targets, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Returns where the application of `caller` calls `service`. */
async function startPalisade(mesh: TestMesh, service: string, caller: string): Promise<number> {
  await mesh.run(service, [process.execPath, APPLICATION]);
  const port = await freePort();
  await mesh.run(caller, ['sleep', '3600'], ['--upstream', `${service}=${port}`]);
  await mesh.apply(FLOODED_SERVICE.replaceAll('orders', service).replace('sa/web', `sa/${caller}`));
  return port;
}

function spawnApplication(port: number): ChildProcess {
  const env = { ...process.env, PORT: String(port) };
  return spawn(process.execPath, [APPLICATION], { stdio: 'ignore', env });
}
