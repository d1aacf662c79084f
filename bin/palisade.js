#!/usr/bin/env node
// The launcher: plain JavaScript, so that any Node.js from 20 on can run it. It starts the CLI under the
// pinned Node.js 24 that npm installed beside it, whatever the system's own version is.
import { spawn } from 'node:child_process';
import module, { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { entry } from './entry.js';
import { becomeLean } from './lean.js';

const major = Number(process.versions.node.split('.')[0]);

// SECURITY: a diagnostic report holds the environment and the command line of a process, whatever NODE_OPTIONS asked for it.
Object.assign(process.report ?? {}, {
  reportOnFatalError: false,
  reportOnSignal: false,
  reportOnUncaughtException: false,
});

if (major >= 24) {
  becomeLean();
  // Not imported by name: Node.js before 22.8 has no such export and would refuse this file.
  // SECURITY: kept beside the code. The default, in the temporary folder, leaves files behind, and whoever makes that
  // folder first could put other code there.
  module.enableCompileCache?.(
    fileURLToPath(new URL('../node_modules/.cache/palisade', import.meta.url)),
  );
  await import(entry('palisade').href);
} else {
  runPinned(pinnedNode());
}

function pinnedNode() {
  const name = `node-linux-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/node`);
  } catch {
    console.error(
      `palisade needs Node.js 24 or newer and this is ${process.version}: the pinned one (package \`${name}\`) is not installed\n` +
        '  help: run `npm ci` here again (without --omit=optional), or put Node.js 24 first in PATH',
    );
    process.exit(2);
  }
}

function runPinned(node) {
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn(node, args, { stdio: 'inherit' });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}
