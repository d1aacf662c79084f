import type { RunOptions } from '#cli';
import { loadRun } from '#local';

/** `palisade run`: an application with its sidecar. */
export async function run(options: RunOptions): Promise<number> {
  const { runWorkload } = await loadRun();
  return runWorkload(options);
}
