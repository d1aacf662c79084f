import { findPortHolder } from '#client';

/** A process that could not start, for a reason its user can do something about. */
export class StartError extends Error {
  readonly help: string;

  constructor(message: string, help: string) {
    super(message);
    this.help = help;
  }
}

/**
 * Turns a failure to listen into words that name what is in the way, and `flag`, which says where to listen; other errors
 * pass unchanged.
 */
export function explainListenError(error: unknown, flag = '--port'): Error {
  const { code, address, port } = error as ListenError;
  if (port === undefined) return error as Error;
  const elsewhere = `choose another with ${flag} (port 0 takes a free one)`;
  switch (code) {
    case 'EADDRINUSE':
      return new StartError(
        `port ${port} is taken by ${holderOf(port)}`,
        `stop it, or ${elsewhere}`,
      );
    case 'EACCES':
      return new StartError(`port ${port} is not for this user to listen on`, elsewhere);
    case 'EADDRNOTAVAIL':
      return new StartError(
        `\`${address}\` is no address of this machine`,
        `choose one with ${flag}`,
      );
    default:
      return error as Error;
  }
}

type ListenError = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number };

function holderOf(port: number): string {
  const holder = findPortHolder(port);
  return holder === undefined ? 'another process' : `process ${holder.pid} (\`${holder.command}\`)`;
}
