// How the processes are started that a host runs one of or many: as src/local/sidecar.ts says, which says why too. Plain
// JavaScript, like the launcher that asks.

/** Commands whose process begins anew with these, where it was started without. */
export const LEAN_COMMANDS = ['agent', 'proxy'];
export const LEAN_FLAGS = ['--max-semi-space-size=1', '--no-maglev'];
export const LEAN_ENV = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '32768',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_TOP_PAD_: '0',
};

/**
 * Puts the process that it should have been in place of this one, with the same pid. Returns where that is so already, or
 * cannot be (Node.js before 24, a parent that talks to us over a channel of Node.js' own).
 */
export function becomeLean() {
  const [, main, command = ''] = process.argv;
  const isLean = LEAN_FLAGS.every((flag) => process.execArgv.includes(flag));
  if (!LEAN_COMMANDS.includes(command) || isLean || process.send !== undefined) return;
  const { execve, execPath, execArgv, env } = process;
  if (execve === undefined) return;
  const args = [execPath, ...execArgv, ...LEAN_FLAGS, main, ...process.argv.slice(2)];
  // What an operator set stays.
  execve(execPath, args, { ...LEAN_ENV, ...env });
}
