import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fail, ok, type Result } from '#lib';

/** A path that is being prepared for a Unix socket. */
export type PreparedSocket = {
  /** Where to listen first. */
  readonly path: string;
  /** Sets the permissions and puts the socket in its place, in one step for whoever connects. */
  readonly publish: () => void;
  /** Removes the socket if it is still the published one. */
  readonly remove: () => void;
};

// sun_path holds 108 bytes with its final zero (unix(7)); the path before publishing is a little longer.
const MAX_PATH_BYTES = 107;

/**
 * Prepares `path`: makes its folder, and replaces a socket file that a killed agent left behind, but not one that
 * somebody answers on. `mode` 0600 lets in the own user alone.
 */
export async function prepareSocket(
  path: string,
  mode: number,
): Promise<Result<PreparedSocket, string>> {
  const folder = dirname(path);
  const temporary = join(folder, `.${process.pid.toString(36)}`);
  const longest = Math.max(Buffer.byteLength(path), Buffer.byteLength(temporary));
  if (longest > MAX_PATH_BYTES) {
    return fail(`the socket's path \`${path}\` is longer than ${MAX_PATH_BYTES} bytes`);
  }
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    return fail(`the socket's folder cannot be made: ${(error as Error).message}`);
  }
  if (await isAnswered(path)) return fail(`another agent answers on \`${path}\``);
  const existing = statOf(path);
  if (existing !== undefined && !existing.isSocket()) {
    return fail(`\`${path}\` exists and is not a socket`);
  }
  rmSync(temporary, { force: true });
  let published: number | undefined;
  return ok({
    path: temporary,
    publish() {
      chmodSync(temporary, mode);
      // Others must be able to walk through the folder; its files stay private by their own modes.
      if ((mode & 0o006) !== 0) chmodSync(folder, (statOf(folder)?.mode ?? 0o700) | 0o011);
      renameSync(temporary, path);
      published = statOf(path)?.ino;
    },
    remove() {
      // SECURITY: only our own: a successor may have put its socket there already.
      if (published !== undefined && statOf(path)?.ino === published) rmSync(path, { force: true });
    },
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Nobody listens (ECONNREFUSED), or there is no such file.
    socket.once('error', () => resolve(false));
  });
}

function statOf(path: string) {
  return lstatSync(path, { throwIfNoEntry: false });
}
