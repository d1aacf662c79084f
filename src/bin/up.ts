import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, ExitError, type UpOptions } from '#cli';
import { loadDemo, loadUp, type RunningMesh } from '#local';
import { demoHints, upHints } from './hints.ts';
import { reportStartErrors } from './report-start-error.ts';
import { stopSignal } from './stop-signal.ts';

/** `palisade up`: the whole mesh in this process, until a signal. */
export function up(options: UpOptions): Promise<number> {
  return reportStartErrors(() => (options.demo ? upDemo(options) : upPlain(options)));
}

async function upPlain(options: UpOptions): Promise<number> {
  const { startMesh } = await loadUp();
  const mesh = await startMesh(options);
  announce(options, mesh, upHints(mesh, options.strict));
  await stopSignal();
  await mesh.close();
  return EXIT.done;
}

async function upDemo(options: UpOptions): Promise<number> {
  const { holdsOwnMesh, markAsDemo, startDemo } = await loadDemo();
  const { removeDataFolder, startMesh } = await loadUp();
  // The user's own mesh is not the demo's to change; in its place a folder is made, and removed at the end.
  const taken = holdsOwnMesh(options.dataDir);
  if (taken && options.dataDirGiven) {
    throw new ExitError(
      EXIT.usage,
      `\`${options.dataDir}\` holds a mesh already`,
      'a demo needs a folder of its own: name a new one with --data',
    );
  }
  const dataDir = taken ? mkdtempSync(join(tmpdir(), 'palisade-demo-')) : options.dataDir;
  const stopped = stopSignal();
  const mesh = await startMesh({ ...options, dataDir });
  markAsDemo(dataDir);
  const demo = await startDemo(mesh);
  announce(options, mesh, demoHints(mesh, demo.services, taken));
  await stopped;
  if (options.output === 'text') process.stdout.write('\nending the demo\n');
  await demo.close();
  await mesh.close();
  removeDataFolder(dataDir);
  return EXIT.done;
}

function announce(options: UpOptions, mesh: RunningMesh, hints: string): void {
  const console = mesh.signInLink();
  if (options.output === 'json') {
    const { api } = mesh.settings;
    process.stdout.write(
      `${JSON.stringify({ event: 'ready', api, console, data: mesh.folder.root })}\n`,
    );
  } else {
    process.stdout.write(`${hints}\nready ${console}\n`);
  }
}
