// SPIFFE clients that nobody here wrote: found where CI put them, made where the toolchain is, or absent.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { finish } from './mesh.ts';

const PEERS = fileURLToPath(new URL('./peers/', import.meta.url));

/** A peer's command, or why there is none. */
export type Peer =
  | { readonly kind: 'found'; readonly command: readonly string[] }
  | { readonly kind: 'absent'; readonly reason: string };

/** The go-spiffe client, built into `folder` unless `GO_SPIFFE_CLIENT` names one. */
export async function goSpiffe(folder: string): Promise<Peer> {
  const built = process.env['GO_SPIFFE_CLIENT'];
  if (built !== undefined) return { kind: 'found', command: [built] };
  const client = join(folder, 'go-client');
  const build = `PATH=$PATH:/usr/local/go/bin; cd '${PEERS}go-spiffe' && timeout 120 go build -o '${client}' .`;
  const done = await finish(['sh', '-c', build]);
  if (done.status === 0) return { kind: 'found', command: [client] };
  const reason = done.stderr.trim().split('\n').at(-1) ?? '';
  return { kind: 'absent', reason: `no go-spiffe client: ${reason}` };
}

/** spiffe-helper, where `SPIFFE_HELPER` names one: building it takes longer than a test may. */
export function spiffeHelper(): Peer {
  const built = process.env['SPIFFE_HELPER'];
  if (built !== undefined) return { kind: 'found', command: [built] };
  return { kind: 'absent', reason: 'SPIFFE_HELPER names no spiffe-helper' };
}

/** The py-spiffe client under `SPIFFE_PYTHON`, or a python3 that has the package. */
export async function pySpiffe(): Promise<Peer> {
  const python = process.env['SPIFFE_PYTHON'] ?? 'python3';
  const done = await finish([python, '-c', 'import spiffe']);
  if (done.status === 0) return { kind: 'found', command: [python, `${PEERS}py-spiffe.py`] };
  return { kind: 'absent', reason: `${python} has no package \`spiffe\`` };
}

/** The rust-spiffe client that `RUST_SPIFFE_CLIENT` names: building it takes longer than a test may. */
export function rustSpiffe(): Peer {
  const built = process.env['RUST_SPIFFE_CLIENT'];
  if (built !== undefined) return { kind: 'found', command: [built] };
  return { kind: 'absent', reason: 'RUST_SPIFFE_CLIENT names no client of rust-spiffe' };
}

/** The java-spiffe client, with the jars in `JAVA_SPIFFE_LIB` or those that Maven brings into `folder`. */
export async function javaSpiffe(folder: string): Promise<Peer> {
  let jars = process.env['JAVA_SPIFFE_LIB'];
  if (jars === undefined) {
    jars = join(folder, 'jars');
    const arguments_ = `-f '${PEERS}java-spiffe/pom.xml' -DoutputDirectory='${jars}'`;
    const copy = `timeout 40 mvn -B -q ${arguments_} dependency:copy-dependencies`;
    const done = await finish(['sh', '-c', copy]);
    const output = `${done.stdout}${done.stderr}`.trim().split('\n').at(-1) ?? '';
    if (done.status !== 0) {
      return { kind: 'absent', reason: `no jars of java-spiffe: ${output}` };
    }
  }
  const runs = await finish(['sh', '-c', 'java -version']);
  if (runs.status !== 0) return { kind: 'absent', reason: 'no java' };
  return {
    kind: 'found',
    command: ['java', '-cp', `${jars}/*`, `${PEERS}java-spiffe/Client.java`],
  };
}

/** The file that the kernel says a command's process runs. */
export async function executableOf(command: string): Promise<string> {
  if (command.includes('/') && existsSync(command)) {
    return (await finish(['readlink', '-f', command])).stdout.trim();
  }
  return (await finish(['sh', '-c', `readlink -f "$(command -v ${command})"`])).stdout.trim();
}
