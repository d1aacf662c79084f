import { closeSync, fdatasync, openSync, readFileSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';

const sync = promisify(fdatasync);

/** A file of JSON lines that only grows, mode 0600. */
export type Journal = {
  /** What was in the file when it was opened; a torn last line, which a crash leaves, is not among it. */
  readonly lines: readonly string[];
  /** Resolves when the lines are on disk; rejects, and tries them again with the next ones, when the disk refuses. */
  readonly append: (lines: readonly string[]) => Promise<void>;
  readonly close: () => void;
};

/** Opens (and makes) a journal. Throws where it cannot be written. */
export function openJournal(path: string): Journal {
  const { lines, isTorn } = readLines(path);
  const file = openSync(path, 'a', 0o600);
  // What was torn off was never acknowledged; the next line must not continue it.
  let waiting = isTorn ? '\n' : '';
  let writing: Promise<void> | undefined;

  async function flush(): Promise<void> {
    while (waiting !== '') {
      const text = waiting;
      // Should the disk take half of it, the next attempt begins on a line of its own.
      waiting = `\n${text}`;
      writeAll(file, text);
      waiting = '';
      await sync(file);
    }
  }

  return {
    lines,
    append(added) {
      waiting += added.map((line) => `${line}\n`).join('');
      writing = (writing ?? Promise.resolve()).catch(ignore).then(flush);
      return writing;
    },
    close() {
      void (writing ?? Promise.resolve()).catch(ignore).then(() => closeSync(file));
    },
  };
}

function ignore(): void {
  // Whoever waited for that write was told; this one is tried on its own.
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

function readLines(path: string): { lines: string[]; isTorn: boolean } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { lines: [], isTorn: false };
  }
  const lines = text.split('\n');
  const last = lines.pop() ?? '';
  return { lines: lines.filter((line) => line !== ''), isTorn: last !== '' };
}
