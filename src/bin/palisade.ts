// `palisade`: reads the command line and runs one command. Processes are loaded only when asked for.
import { setImmediate } from 'node:timers/promises';
import { EXIT, type Processes, runCli } from '#cli';

const processes: Processes = {
  up: async (options) => (await import('./up.ts')).up(options),
  control: async (options) => (await import('./control.ts')).control(options),
  ca: async (options) => (await import('./ca.ts')).ca(options),
  authority: async (options) => (await import('./authority.ts')).authority(options),
  agent: async (options) => (await import('./agent.ts')).agent(options),
  bundleEndpoint: async (options) => (await import('./bundle-endpoint.ts')).bundleEndpoint(options),
  proxy: async (options) => (await import('./proxy.ts')).proxy(options),
  run: async (options) => (await import('./run.ts')).run(options),
};

const { stdin, stdout, stderr, env } = process;
stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that closes the pipe early (`palisade log | head`) is no error.
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  // An export that a full disk cut short must not pass for a whole one.
  stderr.write(`palisade: cannot write the output: ${error.code ?? error.message}\n`);
  process.exit(EXIT.usage);
});
process.exitCode = await runCli(process.argv.slice(2), { stdin, stdout, stderr, env, processes });
// A pipe takes 64 KiB at once; what its reader has not taken yet would be lost, and the exit status would say that all is well.
// Only stdout: what waits for it is an answer, and a process that ends must not wait for who reads its log.
await new Promise<void>((resolve) => stdout.write('', () => resolve()));
// What could not be written is told of a turn later.
await setImmediate();
// Sockets that were kept alive must not keep a finished command.
process.exit();
