import { spawn } from 'node:child_process';

const TIMEOUT_MS = 20_000;
const MAX_OUTPUT = 64 * 1024;

/** Runs a program with `input` on its standard input, and gives its standard output; rejects in words where it fails. */
export function runTool(
  program: string,
  args: readonly string[],
  options: {
    readonly input?: Uint8Array;
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
  } = {},
): Promise<Buffer> {
  const { input, ...where } = options;
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const child = spawn(program, args, { ...where, signal, stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-MAX_OUTPUT);
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === 'ENOENT';
      reject(new Error(isMissing ? `\`${program}\` is not installed` : error.message));
    });
    child.on('close', (status) => {
      if (status === 0) return resolve(Buffer.concat(out));
      const [reason = ''] = said.trim().split('\n').slice(-1);
      return reject(new Error(`\`${program}\` failed with status ${status}: ${reason}`));
    });
    child.stdin.on('error', () => {
      // It ended without reading all; its status says why.
    });
    child.stdin.end(input);
  });
}
