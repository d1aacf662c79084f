// `palisade`: reads the command line and runs one command. Processes are loaded only when asked for.
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
// A reader that closes the pipe early (`palisade log | head`) is no error.
stdout.on('error', () => process.exit(EXIT.done));
process.exitCode = await runCli(process.argv.slice(2), { stdin, stdout, stderr, env, processes });
// Sockets that were kept alive must not keep a finished command.
process.exit();
