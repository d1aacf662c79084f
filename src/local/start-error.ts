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

/**
 * Turns what keeps an authority from starting into a StartError where its operator can do something about it: a file that is
 * missing, damaged or sealed, a key device or an upstream that is not fit. Defects and the system's own errors pass unchanged.
 */
export function explainAuthorityError(error: unknown): unknown {
  // The authority's own sentences are plain errors, and those of devices have a number; a TypeError is a defect.
  const isSentence =
    error instanceof Error && !/^(?:Type|Range|Reference|Syntax)Error$/.test(error.name);
  if (!isSentence || error instanceof StartError) return error;
  if (typeof (error as NodeJS.ErrnoException).code === 'string') return error;
  const message =
    error.cause === undefined ? error.message : `${error.message}: ${readProblem(error.cause)}`;
  return new StartError(
    message,
    'see docs/reference/authority-keys.md, and data-folder.md for what lies where',
  );
}

/** Why a file could not be read, in words. */
export function readProblem(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  return UNREAD[code] ?? `the system says ${code === '' ? 'nothing of it' : code}`;
}

const UNREAD: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of the path is a file, not a folder',
};

type ListenError = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number };

function holderOf(port: number): string {
  const holder = findPortHolder(port);
  return holder === undefined ? 'another process' : `process ${holder.pid} (\`${holder.command}\`)`;
}
