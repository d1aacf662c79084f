// Run once by `npm ci`: loads what every process is made of, so that Node.js keeps it compiled (and stripped of types, where
// it runs the sources), and the first mesh on a machine starts as fast as the second. One source left out costs each process
// that loads it the type stripper: 15 MB and half a second.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  loadAuthorityKeys,
  loadDemo,
  loadLaunchSidecar,
  loadMeshProcesses,
  loadProxy,
  loadRun,
  loadUp,
  SIDECAR_FLAGS,
} from '#local';

// Loaded by name, as bin/palisade.ts does: an import for nothing but its effects is left out of a bundle.
await Promise.all([
  import('#agent'),
  import('#ca'),
  import('#cli'),
  import('#control'),
  import('./agent.ts'),
  import('./bundle-endpoint.ts'),
  import('./ca.ts'),
  import('./control.ts'),
  import('./proxy.ts'),
  import('./record-thread.ts'),
  import('./run.ts'),
  import('./up.ts'),
  import('./verify-thread.ts'),
  loadAuthorityKeys(),
  loadDemo(),
  loadLaunchSidecar(),
  loadMeshProcesses(),
  loadProxy(),
  loadRun(),
  loadUp(),
]);
// The main file runs what it is asked for when it is loaded, and the list of all commands loads all commands.
const main = fileURLToPath(new URL('../../bin/palisade.js', import.meta.url));
spawnSync(process.execPath, [...process.execArgv, main, '--help'], { stdio: 'ignore' });
// What V8 compiled under other flags does not count for sidecars.
if (!SIDECAR_FLAGS.every((flag) => process.execArgv.includes(flag))) {
  const self = fileURLToPath(new URL('../../bin/warm.js', import.meta.url));
  spawnSync(process.execPath, [...SIDECAR_FLAGS, self], { stdio: 'ignore' });
}
