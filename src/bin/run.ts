import type { RunOptions } from '#cli';
import { loadLaunchSidecar, loadRun } from '#local';

/** `palisade run`: an application with its sidecar. */
export async function run(options: RunOptions): Promise<number> {
  const { launchSidecar } = await loadLaunchSidecar();
  const launched = await launchSidecar(options);
  const { runWorkload } = await loadRun();
  return runWorkload(options, launched);
}
