// HTTP/2 and gRPC programs that nobody here wrote: found where CI put them, installed where a Go toolchain is, or absent.
import { join } from 'node:path';
import { finish } from './mesh.ts';

/** A program, or why there is none. */
export type GoPeer =
  | { readonly kind: 'found'; readonly path: string }
  | { readonly kind: 'absent'; readonly reason: string };

// Versions as `.ci/run` installs them.
const PROGRAMS = {
  h2spec: {
    environment: 'H2SPEC_BIN',
    module: 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible',
  },
  client: {
    environment: 'GRPC_INTEROP_CLIENT',
    module: 'google.golang.org/grpc/interop/client@v1.85.0',
  },
  server: {
    environment: 'GRPC_INTEROP_SERVER',
    module: 'google.golang.org/grpc/interop/server@v1.85.0',
  },
} as const;

/** The program that its environment variable names, else one installed into `folder`. */
export async function goPeer(name: keyof typeof PROGRAMS, folder: string): Promise<GoPeer> {
  const { environment, module } = PROGRAMS[name];
  const path = process.env[environment];
  if (path !== undefined) return { kind: 'found', path };
  const install = `PATH=$PATH:/usr/local/go/bin GOBIN='${folder}' timeout 40 go install '${module}'`;
  const done = await finish(['sh', '-c', install]);
  if (done.status === 0) return { kind: 'found', path: join(folder, name) };
  const reason = done.stderr.trim().split('\n').at(-1) ?? '';
  return { kind: 'absent', reason: `no ${name} of Go: ${reason}` };
}
