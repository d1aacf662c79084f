import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SinkFile } from '#resource';
import type { Evidence } from '../evidence.ts';
import { type Receiver, retry } from '../receiver.ts';
import type { Surroundings } from '../surroundings.ts';

/** Writes one item as a line, without its newline. */
export type WriteLine = (item: Evidence) => string;

// Where a killed process may have written what it had not noted as delivered.
const TAIL_BYTES = 4 * 1024 * 1024;

/**
 * Appends lines to `folder/name`, mode 0600. At `maxBytes` it becomes `name.1`, and so on up to `maxFiles`. A delivery
 * is on disk before it counts. INVARIANT: a file has one writer, since each turns it over and cuts off what failed.
 */
export function createFileReceiver(
  { name, maxBytes, maxFiles }: SinkFile,
  { filesFolder: folder, fileOwner }: Pick<Surroundings, 'filesFolder' | 'fileOwner'>,
  writeLine: WriteLine,
): Receiver {
  const path = join(folder, name);
  let file: { readonly handle: FileHandle; size: number; tail: string | undefined } | undefined;
  // Lanes of one sink write one after the other.
  let turn: Promise<unknown> = Promise.resolve();

  async function append(batch: readonly Evidence[]): Promise<void> {
    file ??= await openAppending(path, folder);
    if (file.size >= maxBytes) {
      await file.handle.close();
      file = undefined;
      await turnOver(path, maxFiles);
      file = await openAppending(path, folder);
    }
    const { tail } = file;
    const fresh =
      tail === undefined ? batch : batch.filter(({ id }) => !tail.includes(JSON.stringify(id)));
    file.tail = undefined;
    const bytes = Buffer.from(fresh.map((item) => `${writeLine(item)}\n`).join(''), 'utf8');
    try {
      let written = 0;
      while (written < bytes.length) {
        written += (await file.handle.write(bytes, written, bytes.length - written, null))
          .bytesWritten;
      }
      await file.handle.datasync();
      file.size += bytes.length;
    } catch (error) {
      // A line that is half there, because the disk is full, would spoil the next one.
      await file.handle.truncate(file.size);
      throw error;
    }
  }

  return {
    async deliver(batch) {
      const owner = fileOwner();
      if (owner !== undefined) {
        return retry(`the file \`${name}\` is that of the sink \`${owner}\``);
      }
      const mine = turn.then(() => append(batch));
      turn = mine.catch(() => {
        // Whoever waits for its turn is not concerned by how this one ended.
      });
      try {
        await mine;
        return { kind: 'delivered' };
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? 'failed';
        await file?.handle.close().catch(() => {
          // It is opened anew at the next try.
        });
        file = undefined;
        return retry(`the file \`${name}\` cannot be written (${code})`);
      }
    },
    close() {
      void turn.then(() => file?.handle.close());
    },
  };
}

async function openAppending(path: string, folder: string) {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Reading too: the end of what a killed process left has to be looked at.
  const handle = await open(path, 'a+', 0o600);
  const { size } = await handle.stat();
  const length = Math.min(size, TAIL_BYTES);
  const end = Buffer.alloc(length);
  await handle.read(end, 0, length, size - length);
  const whole = end.lastIndexOf(0x0a) + 1;
  // A torn line was never counted as delivered; it is written again as a whole.
  if (whole < length) await handle.truncate(size - (length - whole));
  const tail = whole === 0 ? undefined : end.subarray(0, whole).toString('utf8');
  return { handle, size: size - (length - whole), tail };
}

async function turnOver(path: string, maxFiles: number): Promise<void> {
  await rm(`${path}.${maxFiles - 1}`, { force: true });
  for (let i = maxFiles - 2; i >= 1; i--) await renameIfThere(`${path}.${i}`, `${path}.${i + 1}`);
  if (maxFiles > 1) await renameIfThere(path, `${path}.1`);
  else await rm(path, { force: true });
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
