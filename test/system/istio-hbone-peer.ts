// Istio's own HBONE library as a program at the other end of a tunnel, with an SVID of a mesh under test.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { finish, type Running, start, type TestMesh } from './mesh.ts';
import type { Peer } from './spiffe-peers.ts';
import { publicTrust } from './stolen-identity.ts';

const SOURCES = fileURLToPath(new URL('./peers/istio-hbone/', import.meta.url));

/** The program that `ISTIO_HBONE` names, else one built into `folder`. */
export async function istioHbone(folder: string): Promise<Peer> {
  const built = process.env['ISTIO_HBONE'];
  if (built !== undefined) return { kind: 'found', command: [built] };
  const program = join(folder, 'istio-hbone');
  const build = `PATH=$PATH:/usr/local/go/bin; cd '${SOURCES}' && timeout 40 go build -o '${program}' .`;
  const done = await finish(['sh', '-c', build]);
  if (done.status === 0) return { kind: 'found', command: [program] };
  const reason = done.stderr.trim().split('\n').at(-1) ?? '';
  return { kind: 'absent', reason: `no program with Istio's HBONE library: ${reason}` };
}

/** A running end of tunnels, and the port that it listens on. */
export type TunnelEnd = { readonly port: number; readonly running: Running };

/** A CONNECT as the library's server saw it. */
export type SeenConnect = {
  readonly connect: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly peer: string;
  /** Address of the tunnel's client: one for each connection. */
  readonly from: string;
};

/** Starts the program as `account` of a mesh, whose sidecar has an identity already. */
export async function startTunnelEnd(
  peer: readonly string[],
  mesh: TestMesh,
  { role, account, flags }: TunnelEndOptions,
): Promise<TunnelEnd> {
  const state = join(mesh.dataDir, 'proxies', `default.${account}`);
  const identity = JSON.parse(readFileSync(join(state, 'identity.json'), 'utf8'));
  const pem = join(state, 'svid.pem');
  writeFileSync(pem, `${identity.chainPem}${identity.privateKeyPem}`, { mode: 0o600 });
  const root = join(state, 'root.pem');
  writeFileSync(root, publicTrust(mesh.dataDir).rootsPem.join(''));
  const running = start([...peer, role, '-cert', pem, '-root', root, ...flags]);
  const [, port] = await running.printed(/"listening":(\d+)/);
  return { port: Number(port), running };
}

type TunnelEndOptions = {
  readonly role: 'client' | 'server';
  readonly account: string;
  readonly flags: readonly string[];
};

/** The CONNECTs that a server printed so far. */
export function connectsOf({ running }: TunnelEnd): readonly SeenConnect[] {
  const lines = running.output().split('\n');
  return lines.filter((line) => line.includes('"connect"')).map((line) => JSON.parse(line));
}
