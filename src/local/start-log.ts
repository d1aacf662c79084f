import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createLog, type Log } from '#telemetry';

/** A log of a long-running process: to standard error, or to `palisade.log` in `folder` where people look at a terminal. */
export function createProcessLog(options: {
  readonly name: string;
  readonly verbose: boolean;
  readonly folder?: string;
  /** Only what went wrong: for a terminal that belongs to somebody else's program. */
  readonly quiet?: boolean;
}): Log {
  const normal = options.quiet === true ? 'warn' : 'info';
  const level = options.verbose ? 'debug' : normal;
  if (options.folder === undefined) return createLog({ name: options.name, level });
  const file = createWriteStream(join(options.folder, 'palisade.log'), { flags: 'w', mode: 0o600 });
  // A log that cannot be written (full disk) must not end the mesh.
  file.on('error', () => file.destroy());
  return createLog({
    name: options.name,
    level,
    destination: { write: (line) => void (file.destroyed || file.write(line)) },
  });
}
