import { findPortHolder } from '#client';

/** A process that could not start, for a reason its user can do something about. */
export class StartError extends Error {
  readonly help: string;

  constructor(message: string, help: string) {
    super(message);
    this.help = help;
  }
}

/** Turns a failure to listen into words that name the process in the way; others pass unchanged. */
export function explainListenError(error: unknown): Error {
  const { code, port } = error as NodeJS.ErrnoException & { port?: number };
  if (code !== 'EADDRINUSE' || port === undefined) return error as Error;
  const holder = findPortHolder(port);
  const who =
    holder === undefined ? 'another process' : `process ${holder.pid} (\`${holder.command}\`)`;
  return new StartError(
    `port ${port} is taken by ${who}`,
    'stop it, or choose other ports with --port (0 takes free ones)',
  );
}
