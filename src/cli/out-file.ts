import {
  closeSync,
  existsSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { fileProblem, shownPath } from '#client';
import { EXIT, ExitError } from './exit.ts';

/** Appends to what a command was told to write; the first time, in place of what the file held. */
export type WriteOut = (content: string | Uint8Array) => void;

/**
 * Does `work`, whose result goes into the file that `--out` names, of mode 0600. The file is opened first: one that cannot be
 * written ends the command at once, in words, before anything is asked for. One that was made for nothing goes again.
 */
export async function intoFile<T>(path: string, work: (write: WriteOut) => Promise<T>): Promise<T> {
  const isNew = !existsSync(path);
  const file = attempt(path, OUT_HELP, () => openSync(path, 'a', 0o600));
  let isWritten = false;
  const write = (content: string | Uint8Array): void => {
    // A pipe or a device keeps its mode, and has nothing to cut.
    if (!isWritten && fstatSync(file).isFile()) {
      ftruncateSync(file);
      fchmodSync(file, 0o600);
    }
    isWritten = true;
    writeFileSync(file, content);
  };
  try {
    return await work((content) => attempt(path, OUT_HELP, () => write(content)));
  } finally {
    closeSync(file);
    if (isNew && !isWritten) rmSync(path, { force: true });
  }
}

const OUT_HELP = 'name another with --out';

/** Does `work`, which writes `path`; where the file system refuses, the command ends with why, in words, and `help`. */
export function attempt<T>(path: string, help: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const problem = fileProblem(error);
    if (problem === undefined) throw error;
    throw new ExitError(EXIT.usage, `cannot write \`${shownPath(path)}\`: ${problem}`, help);
  }
}
