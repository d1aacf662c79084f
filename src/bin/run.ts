import type { RunOptions } from '#cli';
import { runWorkload } from '#local';

/** `palisade run`: an application with its sidecar. */
export function run(options: RunOptions): Promise<number> {
  return runWorkload(options);
}
