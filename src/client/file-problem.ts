import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes a folder and its parents, each of `mode`, and leaves one that is there alone; throws what the system says. */
export function makeFolders(path: string, mode = 0o777): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolders(dirname(path), mode);
  try {
    // One by one, since mkdir's `recursive` never returns where the kernel refuses new names, as below /proc.
    mkdirSync(path, { mode });
  } catch (error) {
    // Another process may have been faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** What the system's codes mean to whoever named the path; open(2), mkdir(2), write(2). */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'you may not write there',
  EPERM: 'the system allows nobody to write there',
  EROFS: 'that file system is read-only',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EISDIR: 'it is a folder, not a file',
  EEXIST: 'something else has that name',
  ENOENT: 'the folder that it would lie in does not exist',
  ENAMETOOLONG: 'the path or a name in it is too long for the system',
  ELOOP: 'its links lead in a circle',
  ENXIO: 'nobody reads from it',
  ENOSPC: 'the disk is full',
  EDQUOT: 'your share of the disk is used up',
};

/** Why a file or folder could not be made or written, in words; undefined for what is no failure of the file system. */
export function fileProblem(error: unknown): string | undefined {
  const { code, syscall } = error as NodeJS.ErrnoException;
  // Its parent is there: so this is /proc or its like.
  if (code === 'ENOENT' && syscall === 'mkdir') return 'the system allows no new folders there';
  return WORDS[code ?? ''];
}

const MAX_SHOWN = 160;

/** A path as it stands in a message: the middle of a very long one is left out. */
export function shownPath(path: string): string {
  if (path.length <= MAX_SHOWN) return path;
  const half = MAX_SHOWN / 2;
  return `${path.slice(0, half)}…(${path.length} characters)…${path.slice(-half)}`;
}
