import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** A log file that never takes more than about twice `maxBytes`: what is full becomes `PATH.1`, in place of the one before. */
export type BoundedFile = { readonly write: (line: string) => void };

/** Appends to `path`, of mode 0600. A line that cannot be written (full disk) is left out: a log must not end a process. */
export function openBoundedFile(path: string, maxBytes: number): BoundedFile {
  let file = openLast(path);
  let size = file === undefined ? 0 : fstatSync(file).size;

  function turn(): void {
    if (file !== undefined) closeSync(file);
    file = undefined;
    renameSync(path, `${path}.1`);
  }

  return {
    write(line) {
      try {
        const bytes = Buffer.from(line);
        if (size > 0 && size + bytes.length > maxBytes) turn();
        if (file === undefined) {
          file = openSync(path, 'a', 0o600);
          size = fstatSync(file).size;
        }
        writeSync(file, bytes);
        size += bytes.length;
      } catch {
        // The next line tries again.
      }
    },
  };
}

function openLast(path: string): number | undefined {
  try {
    return openSync(path, 'a', 0o600);
  } catch {
    // As for lines that cannot be written.
    return undefined;
  }
}
