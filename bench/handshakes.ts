// Full mutual TLS handshakes per CPU second of the inbound side, each with the whole SPIFFE validation of the caller.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProxy } from '#proxy';
// Not through a layer's index: fakes are for tests and benchmarks, and no part of any layer.
import { createFakeMesh, fakeSnapshot, fakeWorkload } from '../src/proxy/fake-mesh.ts';
import { median } from './pairs.ts';

const COUNT = Number(process.env['BENCH_COUNT'] ?? 1500);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const GROUPS = ['X25519', 'X25519MLKEM768'];

/** Runs the benchmark and prints its table. */
export default async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'palisade-bench-'));
  const mesh = createFakeMesh();
  const { chainPem, privateKeyPem } = mesh.issue('web');
  const pem = join(folder, 'web.pem');
  writeFileSync(pem, chainPem + privateKeyPem, { mode: 0o600 });
  const orders = fakeWorkload(fakeSnapshot(mesh, { service: 'orders' }), mesh.issue('orders'));
  const listen = {
    inbound: { host: '127.0.0.1', port: 0 },
    outbound: undefined,
    upstreams: [],
  };
  const proxy = await createProxy(orders.options({ listen }));
  try {
    const rates = new Map<string, number[]>();
    const measure = async (group: string, count: number): Promise<number> => {
      const before = process.cpuUsage();
      const args = [join(import.meta.dirname, 'handshake-client.ts'), `${proxy.inboundPort}`];
      const child = spawn(process.execPath, [...args, group, `${count}`, pem], {
        stdio: 'inherit',
      });
      const [status] = (await once(child, 'exit')) as [number];
      if (status !== 0) throw new Error(`the client ended with ${status}`);
      const { user, system } = process.cpuUsage(before);
      return (count * 1e6) / (user + system);
    };
    await measure('X25519', 300);
    for (let round = 0; round < ROUNDS; round++) {
      for (const group of GROUPS) {
        rates.set(group, [...(rates.get(group) ?? []), await measure(group, COUNT)]);
      }
    }
    const rate = (group: string): number => Math.round(median(rates.get(group) ?? []));
    console.table(GROUPS.map((group) => ({ group, 'handshakes a CPU second': rate(group) })));
    console.log(`handshakes ${rate('X25519')} a CPU second`);
  } finally {
    await proxy.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
